//! The table of results: on the terminal, and as rows of docs/benchmarks.md.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use bench_support::{Record, Target};

use crate::{markers, shell};

const HEAD: [&str; 9] = ["id", "case", "median", "min", "max", "target", "", "gates", "peers and notes"];

/// Aligned columns for a terminal.
pub(crate) fn text(records: &[Record]) -> String {
    let rows: Vec<_> = std::iter::once(HEAD.map(str::to_owned)).chain(records.iter().map(cells)).collect();
    let widths: [usize; HEAD.len()] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut out = String::new();
    for row in &rows {
        let padded: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(padded.join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// Puts the rows into the document: those of the same id and case are replaced, the others stay.
pub(crate) fn write(document: &Path, records: &[Record]) -> Result<()> {
    let text =
        fs::read_to_string(document).with_context(|| format!("could not read {}", document.display()))?;
    let merged = merge(markers::between(&text, "bench")?, records, &today()?);
    let text = markers::replace(&text, "bench", &merged)?;
    let text = markers::replace(&text, "machine", &machine())?;
    fs::write(document, text).with_context(|| format!("could not write {}", document.display()))?;
    println!("wrote {} rows to {}", records.len(), document.display());
    Ok(())
}

fn cells(record: &Record) -> [String; HEAD.len()] {
    let shown =
        |value: f64| if record.samples.runs() == 0 { String::new() } else { record.unit.format(value) };
    let (target, met) = match record.target {
        None => (String::new(), ""),
        Some(target) => {
            let (sign, bound) = match target {
                Target::AtMost(bound) => ("≤", bound),
                Target::AtLeast(bound) => ("≥", bound),
            };
            let met = if target.met_by(record.samples.median()) { "✓" } else { "✗" };
            (format!("{sign} {}", record.unit.format(bound)), met)
        }
    };
    let gates = record.gates.iter().map(|gate| {
        let mark = if gate.holds() { "✓" } else { "✗" };
        format!("{} {} {mark}", gate.value, gate.what)
    });
    let peers = record.ratios.iter().map(|ratio| format!("{:.2}× {}", ratio.value, ratio.peer));
    let notes = peers.chain((!record.note.is_empty()).then(|| record.note.clone()));
    [
        record.id.clone(),
        record.name.clone(),
        shown(record.samples.median()),
        shown(record.samples.min()),
        shown(record.samples.max()),
        target,
        met.to_owned(),
        gates.collect::<Vec<_>>().join(", "),
        notes.collect::<Vec<_>>().join("; "),
    ]
}

/// Rows in the order of their ids' numbers; the date is the row's own, since rows are measured apart.
fn merge(old: &str, records: &[Record], date: &str) -> String {
    let row = |record: &Record| {
        let cells = cells(record).map(|cell| cell.replace('|', "\\|"));
        format!("| {} | {date} |", cells.join(" | "))
    };
    let key = |row: &str| row.split(" | ").take(2).map(str::to_owned).collect::<Vec<_>>();
    let new: Vec<String> = records.iter().map(row).collect();
    let is_row = |line: &&str| line.starts_with("| ") && !line.starts_with("| id ");
    let kept = old.lines().filter(is_row).filter(|old| !new.iter().any(|new| key(new) == key(old)));
    let mut rows: Vec<String> = kept.map(str::to_owned).chain(new.iter().cloned()).collect();
    rows.sort_by_cached_key(|row| {
        let id = key(row).remove(0);
        let number = id.trim_start_matches(|char: char| !char.is_ascii_digit()).trim().parse::<u32>();
        (number.unwrap_or(u32::MAX), row.clone())
    });
    let head = format!("| {} | date |\n|{}", HEAD.join(" | "), "---|".repeat(HEAD.len() + 1));
    format!("{head}\n{}\n", rows.join("\n"))
}

fn today() -> Result<String> {
    Ok(shell::capture(Command::new("date").args(["-u", "+%Y-%m-%d"]))?.trim().to_owned())
}

fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or("unknown");
    let said = |program: &str, args: &[&str]| {
        shell::capture(Command::new(program).args(args))
            .map_or_else(|_| "unknown".into(), |text| text.trim().to_owned())
    };
    format!(
        "{} × {}, memory {}, Linux {}, {}",
        cores,
        model.trim_start_matches([':', ' ', '\t']),
        memory.trim(),
        said("uname", &["-r"]),
        said("rustc", &["--version"]),
    )
}

#[cfg(test)]
mod tests {
    use bench_support::Unit;

    use super::*;

    fn record(id: &str, name: &str, value: f64) -> Record {
        Record::new(id, name, Unit::Nanoseconds).value(value).at_most(100.0)
    }

    #[test]
    fn columns_line_up_and_show_what_is_met() {
        let records = [
            record("P1", "idle", 50.0).gate("allocations", 0, 0),
            record("P30", "flow", 150.0).ratio("mosquitto 2.0", 1.25).gate("bytes", 9, 8),
        ];
        let text = text(&records);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].contains("≤ 100 ns  ✓") && lines[1].contains("0 allocations ✓"), "{text}");
        assert!(
            lines[2].contains("✗")
                && lines[2].contains("9 bytes ✗")
                && lines[2].contains("1.25× mosquitto 2.0")
        );
        let column = |line: &str, word: &str| line.find(word).map(|at| line[..at].chars().count());
        assert_eq!(column(lines[0], "median"), column(lines[1], "50 ns"));
    }

    #[test]
    fn rows_of_other_cases_stay() {
        let first = merge("", &[record("P10", "a", 1.0), record("P2", "b", 2.0)], "2026-01-01");
        let second = merge(&first, &[record("P2", "b", 3.0)], "2026-02-02");
        let rows: Vec<&str> = second.lines().skip(2).collect();
        assert_eq!(rows.len(), 2);
        assert!(rows[0].starts_with("| P2 | b | 3 ns") && rows[0].ends_with("| 2026-02-02 |"), "{second}");
        assert!(rows[1].starts_with("| P10 | a | 1 ns") && rows[1].ends_with("| 2026-01-01 |"), "{second}");
    }

    #[test]
    fn the_document_shows_the_machine() {
        let folder = tempfile::tempdir().expect("a folder");
        let document = folder.path().join("benchmarks.md");
        let skeleton =
            "<!-- machine:begin -->\n<!-- machine:end -->\n<!-- bench:begin -->\n<!-- bench:end -->\n";
        fs::write(&document, skeleton).expect("written");
        write(&document, &[record("P1", "idle", 50.0)]).expect("written");
        let text = fs::read_to_string(&document).expect("readable");
        assert!(text.contains("rustc 1.") && text.contains("| P1 | idle | 50 ns"), "{text}");
    }
}
