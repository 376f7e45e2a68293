//! Grafana's dashboards as JSON: panels placed row by row on its grid of 24 columns.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::promql::Expr;

/// The model of Grafana 11 and 12; older ones are upgraded by Grafana when they are loaded, newer ones refused.
const SCHEMA_VERSION: u32 = 41;
/// Grafana's grid.
const COLUMNS: u32 = 24;
/// Window of rates on a dashboard: at least four scrapes, and wider when a longer time is shown.
pub(super) const WINDOW: &str = "$__rate_interval";
/// The step between two points of a graph, for heatmaps that count per cell.
pub(super) const STEP: &str = "$__interval";

/// How a panel shows its series.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Lines over time.
    Lines,
    /// Areas on top of each other.
    Stacked,
    /// One number with a sparkline.
    Number,
    /// A row per series, its values as colours.
    Heatmap,
}

/// One expression of a panel, and the name of its series.
struct Target {
    expr: Expr,
    legend: &'static str,
}

/// One panel.
pub(super) struct Panel {
    title: &'static str,
    says: &'static str,
    look: Look,
    unit: &'static str,
    width: u32,
    targets: Vec<Target>,
    /// From which value on it is yellow, and red.
    limits: Option<(f64, f64)>,
    is_share: bool,
}

impl Panel {
    fn new(look: Look, unit: &'static str, title: &'static str, says: &'static str) -> Self {
        let targets = Vec::new();
        let is_share = unit == "percentunit";
        Self { title, says, look, unit, width: COLUMNS / 2, targets, limits: None, is_share }
    }

    pub(super) fn lines(unit: &'static str, title: &'static str, says: &'static str) -> Self {
        Self::new(Look::Lines, unit, title, says)
    }

    pub(super) fn stacked(unit: &'static str, title: &'static str, says: &'static str) -> Self {
        Self::new(Look::Stacked, unit, title, says)
    }

    pub(super) fn number(unit: &'static str, title: &'static str, says: &'static str) -> Self {
        Self::new(Look::Number, unit, title, says).width(COLUMNS / 4)
    }

    pub(super) fn heatmap(title: &'static str, says: &'static str) -> Self {
        Self::new(Look::Heatmap, "short", title, says)
    }

    pub(super) fn width(mut self, columns: u32) -> Self {
        self.width = columns;
        self
    }

    pub(super) fn full(self) -> Self {
        self.width(COLUMNS)
    }

    /// With the series of this expression, each named so.
    pub(super) fn shows(mut self, legend: &'static str, expr: Expr) -> Self {
        self.targets.push(Target { expr, legend });
        self
    }

    /// Yellow and red from these values on.
    pub(super) fn limits(mut self, yellow: f64, red: f64) -> Self {
        self.limits = Some((yellow, red));
        self
    }

    fn height(&self) -> u32 {
        if self.width == COLUMNS { 9 } else { 8 }
    }

    fn json(&self, id: usize, x: u32, y: u32) -> Result<Value> {
        let mut targets = Vec::new();
        for (at, target) in self.targets.iter().enumerate() {
            let expr = target.expr.text().with_context(|| format!("panel `{}`", self.title))?;
            targets.push(json!({
                "refId": char::from(b'A' + u8::try_from(at)?).to_string(),
                "datasource": datasource(),
                "editorMode": "code",
                "expr": expr,
                "legendFormat": target.legend,
                "range": true,
                "instant": false,
                "format": if self.look == Look::Heatmap { "heatmap" } else { "time_series" },
            }));
        }
        Ok(json!({
            "id": id,
            "type": match self.look {
                Look::Lines | Look::Stacked => "timeseries",
                Look::Number => "stat",
                Look::Heatmap => "heatmap",
            },
            "title": self.title,
            "description": self.says,
            "datasource": datasource(),
            "gridPos": {"h": self.height(), "w": self.width, "x": x, "y": y},
            "targets": targets,
            "fieldConfig": {"defaults": self.field(), "overrides": []},
            "options": self.options(),
        }))
    }

    fn field(&self) -> Value {
        let mut steps = vec![json!({"color": "green", "value": null})];
        if let Some((yellow, red)) = self.limits {
            steps.push(json!({"color": "yellow", "value": yellow}));
            steps.push(json!({"color": "red", "value": red}));
        }
        let mut field = json!({"unit": self.unit, "thresholds": {"mode": "absolute", "steps": steps}});
        if self.is_share {
            field["min"] = json!(0);
            field["max"] = json!(1);
        }
        match self.look {
            Look::Lines | Look::Stacked => {
                let stacked = self.look == Look::Stacked;
                field["custom"] = json!({
                    "drawStyle": "line",
                    "lineWidth": 1,
                    "fillOpacity": if stacked { 40 } else { 10 },
                    "showPoints": "never",
                    "spanNulls": false,
                    "stacking": {"mode": if stacked { "normal" } else { "none" }, "group": "A"},
                    "thresholdsStyle": {"mode": if self.limits.is_some() { "line" } else { "off" }},
                });
                field["color"] = json!({"mode": "palette-classic"});
            }
            Look::Number => field["color"] = json!({"mode": "thresholds"}),
            Look::Heatmap => {
                field["custom"] = json!({"scaleDistribution": {"type": "linear"}});
            }
        }
        field
    }

    fn options(&self) -> Value {
        match self.look {
            Look::Lines | Look::Stacked => json!({
                "legend": {"displayMode": "table", "placement": "bottom", "showLegend": true, "calcs": ["lastNotNull", "max"]},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }),
            Look::Number => json!({
                "colorMode": "value",
                "graphMode": "area",
                "justifyMode": "auto",
                "orientation": "auto",
                "textMode": "auto",
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
            }),
            Look::Heatmap => json!({
                "calculate": false,
                "cellGap": 1,
                "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "reverse": false, "fill": "dark-orange"},
                "legend": {"show": true},
                "rowsFrame": {"layout": "auto"},
                "tooltip": {"mode": "single", "yHistogram": false},
                "yAxis": {"axisPlacement": "left", "unit": "short"},
            }),
        }
    }
}

/// Panels under one headline.
pub(super) struct Row {
    pub(super) title: &'static str,
    pub(super) panels: Vec<Panel>,
}

/// One dashboard.
pub(super) struct Dashboard {
    /// The name of its file, and what Grafana knows it by.
    pub(super) uid: &'static str,
    pub(super) title: &'static str,
    pub(super) says: &'static str,
    /// Labels that can be chosen, each with a metric that has it.
    pub(super) variables: Vec<Variable>,
    pub(super) rows: Vec<Row>,
}

/// What can be chosen at the top of a dashboard.
pub(super) struct Variable {
    pub(super) label: &'static str,
    pub(super) title: &'static str,
    /// A metric that has the label.
    pub(super) of: &'static fsm_metrics::MetricDef,
}

impl Variable {
    fn json(&self) -> Result<Value> {
        // What a scrape adds is with every metric.
        if self.label != "instance" && !self.of.labels().any(|label| label == self.label) {
            anyhow::bail!("{} has no label {} to choose by", self.of.name(), self.label);
        }
        // A histogram has no series of its own name.
        let suffix = if self.of.metric_type() == fsm_core::MetricType::Histogram { "_count" } else { "" };
        let query = format!("label_values({}{suffix}, {})", self.of.name(), self.label);
        Ok(json!({
            "name": self.label,
            "label": self.title,
            "type": "query",
            "datasource": datasource(),
            "definition": query,
            "query": {"query": query, "refId": "StandardVariableQuery"},
            "refresh": 2,
            "sort": 1,
            "multi": true,
            "includeAll": true,
            "allValue": ".*",
            "current": {"selected": true, "text": ["All"], "value": ["$__all"]},
            "options": [],
            "regex": "",
            "hide": 0,
        }))
    }
}

fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

impl Dashboard {
    pub(super) fn panels(&self) -> impl Iterator<Item = &Panel> {
        self.rows.iter().flat_map(|row| &row.panels)
    }

    /// The file's text.
    pub(super) fn text(&self) -> Result<String> {
        let json = self.json().with_context(|| format!("dashboard `{}`", self.title))?;
        Ok(format!("{}\n", serde_json::to_string_pretty(&json)?))
    }

    fn json(&self) -> Result<Value> {
        let mut variables = vec![json!({
            "name": "datasource",
            "label": "Data source",
            "type": "datasource",
            "query": "prometheus",
            "current": {},
            "options": [],
            "regex": "",
            "refresh": 1,
            "multi": false,
            "includeAll": false,
            "hide": 0,
        })];
        for variable in &self.variables {
            variables.push(variable.json()?);
        }
        Ok(json!({
            "uid": format!("fsm-{}", self.uid),
            "title": self.title,
            "description": self.says,
            "tags": ["fsm"],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": true,
            "graphTooltip": 1,
            "timezone": "browser",
            "time": {"from": "now-1h", "to": "now"},
            "timepicker": {},
            "refresh": "30s",
            "fiscalYearStartMonth": 0,
            "annotations": {"list": []},
            "links": [{
                "type": "dashboards",
                "title": "fsm",
                "tags": ["fsm"],
                "asDropdown": true,
                "includeVars": true,
                "keepTime": true,
                "icon": "external link",
                "targetBlank": false,
                "tooltip": "",
                "url": "",
            }],
            "templating": {"list": variables},
            "panels": self.placed()?,
        }))
    }

    fn placed(&self) -> Result<Vec<Value>> {
        let mut placed = Vec::new();
        let mut y = 0;
        for row in &self.rows {
            placed.push(json!({
                "id": placed.len() + 1,
                "type": "row",
                "title": row.title,
                "collapsed": false,
                "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y},
                "panels": [],
            }));
            y += 1;
            let (mut x, mut tallest) = (0, 0);
            for panel in &row.panels {
                if x + panel.width > COLUMNS {
                    (x, y, tallest) = (0, y + tallest, 0);
                }
                placed.push(panel.json(placed.len() + 1, x, y)?);
                x += panel.width;
                tallest = tallest.max(panel.height());
            }
            y += tallest;
        }
        Ok(placed)
    }
}

impl Panel {
    pub(super) fn title(&self) -> &'static str {
        self.title
    }

    pub(super) fn says(&self) -> &'static str {
        self.says
    }
}
