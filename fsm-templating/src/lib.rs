//! Strict, structured rendering of config templates with variables and ISA-95 locations
