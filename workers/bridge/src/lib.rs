//! Worker kinds application, bridge and connection: protocol bridges from templates
