//! What of all executions is kept at hand: enough to list them, to find one by its key, and to know which are to be forgotten.
//! Pure.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::{Value, json};

use super::id::ExecId;
use super::record::{Kind, Record, Status, Target, rfc3339, url};

/// An execution in one line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Summary {
    pub(crate) id: ExecId,
    pub(crate) target: Target,
    pub(crate) status: Status,
    created: u64,
    started: Option<u64>,
    finished: Option<u64>,
    reason: Option<String>,
    key: Option<String>,
    /// The size of its record.
    bytes: usize,
}

impl Summary {
    pub(super) fn of(record: &Record, bytes: usize) -> Self {
        Self {
            id: record.id.clone(),
            target: record.target.clone(),
            status: record.status,
            created: record.created,
            started: record.started,
            finished: record.finished,
            reason: record.error.as_ref().map(|error| error.reason.clone()),
            key: record.key.clone(),
            bytes,
        }
    }

    /// As the API tells it.
    pub(crate) fn to_json(&self) -> Value {
        let mut value = json!({
            "exec_id": self.id,
            "exec_url": url(&self.id),
            "kind": self.target.kind(),
            "target": self.target.name(),
            "status": self.status,
            "created_at": rfc3339(self.created),
        });
        if let Target::Agent { action, .. } = &self.target {
            value["action"] = json!(action);
        }
        for (key, at) in [("started_at", self.started), ("finished_at", self.finished)] {
            if let Some(at) = at {
                value[key] = json!(rfc3339(at));
            }
        }
        if let Some(reason) = &self.reason {
            value["reason"] = json!(reason);
        }
        value
    }
}

/// Which executions are wanted: all of these at once, newest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) status: Option<Status>,
    pub(crate) kind: Option<Kind>,
    /// The id of a tool.
    pub(crate) tool: Option<String>,
    /// Accepted at this time or later, in milliseconds since 1970.
    pub(crate) since: Option<u64>,
    /// Accepted before this one: the next page.
    pub(crate) before: Option<ExecId>,
    pub(crate) limit: usize,
}

impl Filter {
    fn passes(&self, one: &Summary) -> bool {
        self.status.is_none_or(|status| status == one.status)
            && self.kind.is_none_or(|kind| kind == one.target.kind())
            && self
                .tool
                .as_ref()
                .is_none_or(|tool| one.target.kind() == Kind::Task && tool == one.target.name())
            && self.since.is_none_or(|since| since <= one.created)
    }
}

/// How much of the past is kept.
#[derive(Debug, Clone)]
pub(crate) struct Keep {
    /// Executions that ended longer ago are forgotten.
    pub(super) age: Duration,
    /// More than these are forgotten, oldest first.
    pub(super) count: usize,
    /// Records beyond this size are forgotten, oldest first.
    pub(super) bytes: usize,
}

/// A repeat of a call within this time is the same call.
pub(super) const KEY_AGE: Duration = Duration::from_secs(24 * 3_600);

impl Default for Keep {
    fn default() -> Self {
        // A week, to look at on Monday what ran at the weekend; and no more than a small machine can spare.
        Self { age: Duration::from_secs(7 * 24 * 3_600), count: 10_000, bytes: 64 << 20 }
    }
}

/// All executions that are known.
#[derive(Debug, Default)]
pub(super) struct Index {
    all: BTreeMap<ExecId, Summary>,
    keys: HashMap<String, ExecId>,
    bytes: usize,
}

impl Index {
    /// Takes one up, or what it has become.
    pub(super) fn put(&mut self, one: Summary) {
        if let Some(key) = &one.key {
            self.keys.insert(key.clone(), one.id.clone());
        }
        self.bytes += one.bytes;
        if let Some(before) = self.all.insert(one.id.clone(), one) {
            self.bytes -= before.bytes;
        }
    }

    pub(super) fn remove(&mut self, id: &ExecId) {
        let Some(gone) = self.all.remove(id) else { return };
        self.bytes -= gone.bytes;
        if let Some(key) = gone.key
            && self.keys.get(&key) == Some(id)
        {
            self.keys.remove(&key);
        }
    }

    /// The execution that was called with this key, if that counts still.
    pub(super) fn by_key(&self, key: &str, now: u64) -> Option<&ExecId> {
        self.keys.get(key).filter(|id| self.all.get(*id).is_some_and(|one| has_key(one, now)))
    }

    /// Those that pass, and whether there are more.
    pub(super) fn list(&self, filter: &Filter) -> (Vec<Summary>, bool) {
        let newest = match &filter.before {
            Some(before) => self.all.range(..before.clone()),
            None => self.all.range::<ExecId, _>(..),
        };
        let mut found: Vec<Summary> = newest
            .rev()
            .map(|(_, one)| one)
            .filter(|one| filter.passes(one))
            .take(filter.limit + 1)
            .cloned()
            .collect();
        let more = found.len() > filter.limit;
        found.truncate(filter.limit);
        (found, more)
    }

    /// Those that are to be forgotten. What has not ended never is; what a key still counts for goes last.
    pub(super) fn overdue(&self, now: u64, keep: &Keep) -> Vec<ExecId> {
        let ended = || self.all.values().filter(|one| one.status.is_terminal());
        let too_old = |one: &Summary| one.finished.is_some_and(|at| age(at, now) > keep.age);
        let mut overdue: Vec<&Summary> = ended().filter(|one| too_old(one)).collect();
        let (mut count, mut bytes) = (self.all.len() - overdue.len(), self.bytes);
        bytes -= overdue.iter().map(|one| one.bytes).sum::<usize>();
        if count > keep.count || bytes > keep.bytes {
            let young = || ended().filter(|one| !too_old(one));
            let (keyed, free): (Vec<_>, Vec<_>) = young().partition(|one| has_key(one, now));
            for one in free.into_iter().chain(keyed) {
                if count <= keep.count && bytes <= keep.bytes {
                    break;
                }
                (count, bytes) = (count - 1, bytes - one.bytes);
                overdue.push(one);
            }
        }
        overdue.into_iter().map(|one| one.id.clone()).collect()
    }
}

fn age(at: u64, now: u64) -> Duration {
    Duration::from_millis(now.saturating_sub(at))
}

fn has_key(one: &Summary, now: u64) -> bool {
    one.key.is_some() && age(one.created, now) < KEY_AGE
}

#[cfg(test)]
mod tests {
    use super::super::id::Ids;
    use super::super::record::End;
    use super::*;

    const DAY: u64 = 24 * 3_600_000;

    fn keep(age_days: u64, count: usize, bytes: usize) -> Keep {
        Keep { age: Duration::from_millis(age_days * DAY), count, bytes }
    }

    /// Executions of 100 bytes that were accepted at these times and have ended at once, some with a key.
    fn index(of: &[(u64, Option<&str>)]) -> (Index, Vec<ExecId>) {
        let (ids, mut index, mut given) = (Ids::default(), Index::default(), Vec::new());
        for (number, (at, key)) in of.iter().enumerate() {
            let id = ids.next(*at, 0);
            let target = Target::Task { tool: if number % 2 == 0 { "even" } else { "odd" }.into() };
            let record = Record::new(id.clone(), target, Value::Null, key.map(Into::into), *at);
            index.put(Summary::of(&record, 70));
            index.put(Summary::of(&record.begun(*at).ended(End::success(Value::Null), *at), 100));
            given.push(id);
        }
        (index, given)
    }

    fn listed(index: &Index, filter: &Filter) -> Vec<ExecId> {
        index.list(filter).0.into_iter().map(|one| one.id).collect()
    }

    // spec: X-22
    #[test]
    fn what_is_listed_passes_every_filter_newest_first_in_pages() {
        let (index, ids) = index(&[(10, None), (20, None), (30, None), (40, None)]);
        let all = Filter { limit: 10, ..Filter::default() };
        let newest: Vec<ExecId> = ids.iter().rev().cloned().collect();
        assert_eq!(listed(&index, &all), newest);
        let odd = Filter { tool: Some("odd".into()), since: Some(30), ..all.clone() };
        assert_eq!(listed(&index, &odd), [ids[3].clone()]);
        assert!(listed(&index, &Filter { status: Some(Status::Running), ..all.clone() }).is_empty());
        assert!(listed(&index, &Filter { kind: Some(Kind::Agent), ..all.clone() }).is_empty());
        let page = Filter { limit: 2, ..all };
        assert_eq!((listed(&index, &page), index.list(&page).1), (newest[..2].to_vec(), true));
        let next = Filter { before: Some(newest[1].clone()), ..page };
        assert_eq!((listed(&index, &next), index.list(&next).1), (newest[2..].to_vec(), false));
    }

    // spec: X-23
    #[test]
    fn the_past_is_bounded_by_age_number_and_size_and_what_runs_is_never_forgotten() {
        let (mut index, ids) = index(&[(0, None), (DAY, None), (2 * DAY, None), (3 * DAY, None)]);
        let now = 3 * DAY;
        assert!(index.overdue(now, &keep(7, 4, 400)).is_empty());
        assert_eq!(index.overdue(now, &keep(1, 4, 400)), ids[..2]);
        assert_eq!(index.overdue(now, &keep(7, 1, 400)), ids[..3]);
        assert_eq!(index.overdue(now, &keep(7, 4, 250)), ids[..2]);
        assert_eq!(index.overdue(now, &keep(2, 1, 400)), ids[..3], "one by age, two by number");
        let runs = Record::new(
            ExecId::parse(&format!("{}-{}", "0".repeat(16), "0".repeat(16))).unwrap(),
            Target::Workflow { workflow: "w".into() },
            Value::Null,
            None,
            0,
        );
        index.put(Summary::of(&runs, 1_000));
        assert_eq!(index.overdue(now, &keep(0, 0, 0)).len(), 4);
        for id in &ids {
            index.remove(id);
        }
        assert_eq!((index.bytes, index.all.len()), (1_000, 1));
    }

    // spec: X-24
    #[test]
    fn a_key_counts_for_a_day_and_its_execution_is_the_last_to_go() {
        let (mut index, ids) = index(&[(0, Some("a")), (1, None), (2, Some("b"))]);
        assert_eq!(index.by_key("a", DAY - 1), Some(&ids[0]));
        assert_eq!((index.by_key("a", DAY), index.by_key("c", 0)), (None, None));
        assert_eq!(index.overdue(3, &keep(7, 2, 300)), ids[1..2]);
        assert_eq!(index.overdue(3, &keep(7, 1, 300)), [ids[1].clone(), ids[0].clone()]);
        index.remove(&ids[0]);
        assert_eq!(index.by_key("a", 3), None);
    }
}
