//! `/v1/node-metrics`: how often, how long and how well each node acted and each tool ran (N-19).

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use fsm_core::NodePath;
use serde::Deserialize;

use super::{Api, Problem, no_node};

/// Whose statistics are asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Whose {
    /// The path of a worker or the id of a tool; all of them without.
    node: Option<String>,
}

pub(super) async fn node_metrics(
    State(api): State<Api>,
    whose: Result<Query<Whose>, QueryRejection>,
) -> Result<Response, Problem> {
    let help = "/v1/node-metrics takes `node=PATH` or `node=TOOL`";
    let Query(whose) = whose.map_err(|error| Problem::bad_query(error.body_text(), help))?;
    let Some(node) = whose.node else {
        return Ok(([(CONTENT_TYPE, "application/json")], api.statistics.to_json()).into_response());
    };
    let found = api.statistics.get(&node);
    // What begins with a slash is a path, and one that is not in the tree is rather a slip than a worker that never acted.
    if found == Default::default() && node.starts_with('/') {
        let path = NodePath::try_new(&node).map_err(|error| Problem::bad_path(&error))?;
        if api.tree.node(&path).await.map_err(|_| Problem::stopping())?.is_none() {
            return Err(no_node(&api, &path).await);
        }
    }
    Ok(Json(found).into_response())
}
