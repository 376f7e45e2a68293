//! The text that a scrape gets. Labels were rendered when the scopes were made, so a line is a few copies and a number (M-5).

use std::fmt::Write as _;

use fsm_core::MetricType;
use prometheus::TextEncoder;

use crate::block::{Block, Reading};
use crate::collector::Registered;
use crate::layout::{Family, Unit};
use crate::metrics::{Metrics, Section};

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Metrics {
    /// All series in the Prometheus text format, then what others put into the registry.
    ///
    /// A registry that was made with a prefix or with labels adds them only where it is gathered itself.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = String::new();
        self.encode_into(&mut out);
        out
    }

    /// Like [`encode`](Self::encode), appending to a buffer that can be used again.
    pub fn encode_into(&self, out: &mut String) {
        for section in self.inner.sections() {
            write_section(out, &section);
        }
        let foreign = Registered::gather_foreign(self.registry());
        if !foreign.is_empty() {
            let before = out.len();
            // It fails on families without a name or series, which a registry doesn't give; then ours must still be whole.
            if TextEncoder::new().encode_utf8(&foreign, out).is_err() {
                out.truncate(before);
            }
        }
    }
}

fn write_section(out: &mut String, section: &Section) {
    let mut buckets = Vec::new();
    for at in 0..section.families {
        let mut begun = false;
        for block in &section.blocks {
            let family = &block.layout.families[at];
            for (unit_at, unit) in block.layout.units_of(at) {
                let Some(reading) = block.read(unit_at, &mut buckets) else { continue };
                if !begun {
                    write_header(out, family);
                    begun = true;
                }
                write_series(out, block, family, unit, reading, &buckets);
            }
        }
    }
}

fn write_header(out: &mut String, family: &Family) {
    let kind = match family.metric_type() {
        MetricType::Counter => "counter",
        MetricType::Gauge => "gauge",
        MetricType::Histogram => "histogram",
    };
    let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
    // Writing to a String can't fail.
    let _ = write!(out, "# HELP {0} {help}\n# TYPE {0} {kind}\n", family.name);
}

fn write_series(
    out: &mut String,
    block: &Block,
    family: &Family,
    unit: &Unit,
    reading: Reading,
    buckets: &[u64],
) {
    let start = |out: &mut String, suffix: &str, le: Option<&str>| {
        out.push_str(&family.name);
        out.push_str(suffix);
        let mut open = '{';
        for part in [&*block.text, &*unit.text].into_iter().filter(|part| !part.is_empty()) {
            out.push(open);
            out.push_str(part);
            open = ',';
        }
        if let Some(le) = le {
            out.push(open);
            out.push_str("le=\"");
            out.push_str(le);
            out.push('"');
            open = ',';
        }
        out.push_str(if open == '{' { " " } else { "} " });
    };
    match reading {
        Reading::Count(n) => {
            start(out, "", None);
            write_integer(out, n);
        }
        Reading::Number(value) => {
            start(out, "", None);
            write_float(out, value);
        }
        Reading::Histogram { sum } => {
            let mut cumulative = 0;
            let bounds = family.bound_texts.iter().map(String::as_str).chain(["+Inf"]);
            for (bound, n) in bounds.zip(buckets) {
                cumulative += n;
                start(out, "_bucket", Some(bound));
                write_integer(out, cumulative);
            }
            start(out, "_sum", None);
            write_float(out, sum);
            start(out, "_count", None);
            write_integer(out, cumulative);
        }
    }
}

fn write_integer(out: &mut String, n: u64) {
    let _ = writeln!(out, "{n}");
}

fn write_float(out: &mut String, value: f64) {
    if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf\n" } else { "-Inf\n" });
    } else {
        let _ = writeln!(out, "{value}");
    }
}
