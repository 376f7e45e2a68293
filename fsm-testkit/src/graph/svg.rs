//! SVG with a layout of its own: states one below the other, each move a line of its own beside them, so that nothing
//! overlaps and a small change of the worker is a small change of the picture.

use std::fmt::Write as _;

use super::{Edge, Graph, Target, colours};

// All lengths in pixels: a label of 12 px needs a row of 18, and its letters are 6.2 wide on average.
const ROW: usize = 18;
const LETTER: f64 = 6.2;
const BOX_WIDTH: usize = 190;
const LEFT: usize = 20;
/// Between two boxes: room to tell them apart.
const GAP: usize = 24;
/// Between two lines that run beside each other.
const LANE: usize = 14;

/// A box with one row for each line that begins or ends at it.
struct Place {
    top: usize,
    height: usize,
}

impl Graph {
    /// An SVG picture that needs nothing else; what `stop` does is dashed.
    #[must_use]
    pub fn svg(&self) -> String {
        let names: Vec<&str> = self.states.iter().map(|state| state.name).chain(self.ends()).collect();
        let target = |edge: &Edge| match edge.to {
            Target::State(state) => usize::from(state),
            Target::Removed | Target::Restarted => {
                names.iter().position(|name| *name == self.target_name(edge.to)).unwrap_or(0)
            }
        };
        let mut rows = vec![0_usize; names.len()];
        // Each edge: the row where it leaves and the one where it arrives.
        let ports: Vec<(usize, usize)> = self
            .edges
            .iter()
            .map(|edge| {
                let mut take = |at: usize| {
                    rows[at] += 1;
                    rows[at] - 1
                };
                (take(edge.from), take(target(edge)))
            })
            .collect();
        let mut places: Vec<Place> = Vec::new();
        let mut top = GAP;
        for rows in &rows {
            let height = (rows.max(&2) + 1) * ROW;
            places.push(Place { top, height });
            top += height + GAP;
        }
        let row = |at: usize, row: usize| places[at].top + (row + 1) * ROW;
        let longest = self.edges.iter().map(|edge| text_of(edge).chars().count()).max().unwrap_or(0);
        let right = LEFT + BOX_WIDTH;
        let lanes = right + (longest as f64 * LETTER) as usize + 2 * LANE;
        let width = lanes + (self.edges.len() + 1) * LANE;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {top}\" width=\"{width}\" height=\"{top}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<title>{}</title>\n<defs><marker id=\"end\" viewBox=\"0 0 8 8\" \
             refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path d=\"M0,0 L8,4 L0,8 z\"/></marker></defs>\n\
             <rect width=\"{width}\" height=\"{top}\" fill=\"#fff\"/>\n",
            escape(self.kind)
        );
        for (at, place) in places.iter().enumerate() {
            self.draw_box(&mut out, at, names[at], place);
        }
        for ((edge, (leaves, arrives)), number) in self.edges.iter().zip(ports).zip(1..) {
            let (from, to) = (row(edge.from, leaves), row(target(edge), arrives));
            let lane = lanes + number * LANE;
            let style = if edge.stop { " stroke-dasharray=\"4 3\"" } else { "" };
            // Writing to a string can't fail.
            let _ = writeln!(
                out,
                "<path d=\"M{right},{from} H{lane} V{to} H{right}\" fill=\"none\" stroke=\"#455a64\" marker-end=\"url(#end)\"{style}/>"
            );
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{}\" fill=\"#263238\">{}</text>",
                right + LANE,
                from - 3,
                escape(&text_of(edge))
            );
        }
        out.push_str("</svg>\n");
        out
    }

    /// Ends that are no states.
    fn ends(&self) -> impl Iterator<Item = &'static str> + '_ {
        let used = |target: &Target| self.edges.iter().any(|edge| edge.to == *target);
        [Target::Removed, Target::Restarted].into_iter().filter(used).map(|target| self.target_name(target))
    }

    fn draw_box(&self, out: &mut String, at: usize, name: &str, place: &Place) {
        let state = self.states.get(at);
        let (fill, stroke) = state.map_or(("#fff", "#455a64"), |state| colours(state.phase));
        let line = if self.initial.contains(&at) { 3 } else { 1 };
        let (top, height, middle) = (place.top, place.height, LEFT + BOX_WIDTH / 2);
        let _ = writeln!(
            out,
            "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{BOX_WIDTH}\" height=\"{height}\" rx=\"6\" fill=\"{fill}\" stroke=\"{stroke}\" stroke-width=\"{line}\"/>"
        );
        let mut lines = vec![name.to_owned()];
        if let Some(state) = state {
            lines.push(format!("{}, {}", state.phase, state.sort));
            lines.extend(
                (!state.actions.is_empty()).then(|| {
                    format!("acts: {}", state.actions.iter().copied().collect::<Vec<_>>().join(", "))
                }),
            );
        }
        for (line, number) in lines.iter().zip(1..) {
            let weight = if number == 1 { " font-weight=\"bold\"" } else { "" };
            let _ = writeln!(
                out,
                "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\"{weight}>{}</text>",
                top + number * ROW - 3,
                escape(line)
            );
        }
    }
}

fn text_of(edge: &Edge) -> String {
    edge.labels.join(" · ")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
