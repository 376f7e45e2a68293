//! Worker kind dataflow: input, pipeline, output, at least once
