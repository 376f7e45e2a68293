//! The rules of writing, pure: what a change makes of what is there, or what it contradicts. Every backend uses it.

use std::sync::Arc;

use fsm_core::{Generation, Incarnation, NodePath};
use serde_json::{Value, json};

use crate::record::{ChangeRecord, Role, Subject};
use crate::{
    Batch, Change, Conflict, Delta, Document, DocumentId, Expected, NodeRecord, Op, Part, Removed, Sequence,
    SyncId, diff,
};

/// What a store knows of a subject.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A node.
    Node(NodeRecord),
    /// A document.
    Document(Document),
}

/// What a change makes of its subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The subject afterwards.
    pub entry: Entry,
    /// The record for the history.
    pub record: ChangeRecord,
}

/// What a change is about.
#[must_use]
pub fn subject(op: &Op) -> Subject {
    match op {
        Op::Identify { path, .. }
        | Op::Desire { path, .. }
        | Op::Observe { path, .. }
        | Op::Remove { path, .. } => Subject::Node(path.clone()),
        Op::Put { id, .. } | Op::Delete { id, .. } => Subject::Document(id.clone()),
    }
}

/// What this change of the batch makes of its subject as it is, with `sync_id` for its id. None when it says what is there
/// already.
///
/// # Errors
/// [`Conflict`] when it contradicts what is there.
pub fn apply(
    stored: Option<&Entry>,
    batch: &Batch,
    change: &Change,
    sync_id: SyncId,
) -> Result<Option<Applied>, Conflict> {
    let writer = Writer { batch, change, sync_id };
    let node = match stored {
        Some(Entry::Node(node)) => Some(node),
        Some(Entry::Document(_)) | None => None,
    };
    let document = match stored {
        Some(Entry::Document(document)) => Some(document),
        Some(Entry::Node(_)) | None => None,
    };
    match &change.op {
        Op::Identify { path, incarnation, kind, value } => {
            writer.identify(node, path, *incarnation, kind, value)
        }
        Op::Desire { path, incarnation, expected, value } => {
            let node = alive(node, path, *incarnation)?;
            let stored = node.desired.as_ref().map(|part| part.generation);
            if !fits(*expected, stored) {
                return Err(Conflict::Desired { path: path.clone(), expected: *expected, stored });
            }
            Ok(writer.part(node, Role::Desired, *incarnation, value))
        }
        Op::Observe { path, incarnation, value } => {
            let node = alive(node, path, *incarnation)?;
            Ok(writer.part(node, Role::Observed, *incarnation, value))
        }
        Op::Remove { path, incarnation } => writer.remove(node, path, *incarnation),
        Op::Put { id, expected, bytes } => writer.document(document, id, *expected, Some(bytes)),
        Op::Delete { id, expected } => writer.document(document, id, *expected, None),
    }
}

fn fits(expected: Expected, stored: Option<Generation>) -> bool {
    match expected {
        Expected::Nothing => stored.is_none(),
        Expected::Generation(generation) => stored == Some(generation),
    }
}

/// The node, if it is there, in the tree and in this life.
fn alive<'a>(
    node: Option<&'a NodeRecord>,
    path: &NodePath,
    incarnation: Incarnation,
) -> Result<&'a NodeRecord, Conflict> {
    let node = node.ok_or_else(|| Conflict::Unknown { path: path.clone() })?;
    if node.incarnation != incarnation {
        let stored = node.incarnation;
        return Err(Conflict::Incarnation { path: path.clone(), written: incarnation, stored });
    }
    if node.removed.is_some() {
        return Err(Conflict::Removed { path: path.clone() });
    }
    Ok(node)
}

/// The stored identity: kind and facts together, so that the history shows a change of either.
fn identity_value(kind: &str, value: &Value) -> Value {
    json!({ "kind": kind, "facts": value })
}

struct Writer<'a> {
    batch: &'a Batch,
    change: &'a Change,
    sync_id: SyncId,
}

impl Writer<'_> {
    fn identify(
        &self,
        stored: Option<&NodeRecord>,
        path: &NodePath,
        incarnation: Incarnation,
        kind: &Arc<str>,
        facts: &Value,
    ) -> Result<Option<Applied>, Conflict> {
        let value = identity_value(kind, facts);
        let Some(old) = stored else {
            let identity = self.new_part(None, incarnation, &Arc::new(value));
            let delta = Delta::Edits(diff(None, Some(&identity.value)));
            let node = NodeRecord {
                path: path.clone(),
                kind: Arc::clone(kind),
                incarnation,
                known_since: self.batch.when,
                identity,
                desired: None,
                observed: None,
                removed: None,
                sequence: Sequence::default(),
            };
            return Ok(Some(self.node(node, Role::Identity, delta)));
        };
        if incarnation < old.incarnation || (incarnation == old.incarnation && old.removed.is_some()) {
            return Err(match old.removed {
                Some(_) if incarnation == old.incarnation => Conflict::Removed { path: path.clone() },
                _ => Conflict::Incarnation {
                    path: path.clone(),
                    written: incarnation,
                    stored: old.incarnation,
                },
            });
        }
        if incarnation == old.incarnation {
            let same = *old.identity.value == value;
            return if same { Ok(None) } else { Err(Conflict::Identity { path: path.clone(), incarnation }) };
        }
        let delta = Delta::Edits(diff(Some(&old.identity.value), Some(&value)));
        let mut node = old.clone();
        node.identity = self.new_part(Some(&old.identity), incarnation, &Arc::new(value));
        node.kind = Arc::clone(kind);
        node.incarnation = incarnation;
        if node.removed.take().is_some() {
            // What comes back after a removal is a fresh node (S-12). Its desired state stays until it is written, so that its
            // generation goes on and a stale writer conflicts.
            node.known_since = self.batch.when;
            node.observed = None;
        }
        Ok(Some(self.node(node, Role::Identity, delta)))
    }

    fn part(
        &self,
        node: &NodeRecord,
        role: Role,
        incarnation: Incarnation,
        value: &Arc<Value>,
    ) -> Option<Applied> {
        let old = if role == Role::Desired { &node.desired } else { &node.observed };
        // The same in a new incarnation is no change either: a restart of 100 000 nodes that see what they saw writes nothing here.
        if old.as_ref().is_some_and(|part| part.value == *value) {
            return None;
        }
        let delta = Delta::Edits(diff(old.as_ref().map(|part| &*part.value), Some(value)));
        let new = Some(self.new_part(old.as_ref(), incarnation, value));
        let mut node = node.clone();
        *(if role == Role::Desired { &mut node.desired } else { &mut node.observed }) = new;
        Some(self.node(node, role, delta))
    }

    fn remove(
        &self,
        node: Option<&NodeRecord>,
        path: &NodePath,
        incarnation: Incarnation,
    ) -> Result<Option<Applied>, Conflict> {
        if node.is_some_and(|node| node.removed.is_some() && node.incarnation == incarnation) {
            return Ok(None);
        }
        let mut node = alive(node, path, incarnation)?.clone();
        node.removed = Some(Removed { at: self.batch.when, sync_id: self.sync_id });
        node.identity.generation = node.identity.generation.next();
        Ok(Some(self.node(node, Role::Identity, Delta::Removed)))
    }

    fn new_part(&self, old: Option<&Part>, incarnation: Incarnation, value: &Arc<Value>) -> Part {
        Part {
            value: Arc::clone(value),
            incarnation,
            generation: old.map_or(Generation::new(1), |part| part.generation.next()),
            created_at: old.map_or(self.batch.when, |part| part.created_at),
            updated_at: self.batch.when,
            sync_id: self.sync_id,
        }
    }

    fn node(&self, mut node: NodeRecord, role: Role, delta: Delta) -> Applied {
        node.sequence = node.sequence.next();
        let part = match role {
            Role::Desired => node.desired.as_ref(),
            Role::Observed => node.observed.as_ref(),
            Role::Identity | Role::Document => Some(&node.identity),
        };
        let generation = part.map_or_else(Generation::default, |part| part.generation);
        let subject = Subject::Node(node.path.clone());
        let record = self.record(subject, node.sequence, Some(node.incarnation), role, generation, delta);
        Applied { entry: Entry::Node(node), record }
    }

    fn document(
        &self,
        stored: Option<&Document>,
        id: &DocumentId,
        expected: Option<Expected>,
        bytes: Option<&Arc<[u8]>>,
    ) -> Result<Option<Applied>, Conflict> {
        let there = stored.filter(|document| document.bytes.is_some());
        if let Some(expected) = expected {
            let generation = there.map(|document| document.generation);
            if !fits(expected, generation) {
                return Err(Conflict::Document { id: id.clone(), expected, stored: generation });
            }
        }
        let before = there.and_then(|document| document.bytes.as_ref());
        if before == bytes {
            return Ok(None);
        }
        let generation = stored.map_or(Generation::new(1), |document| document.generation.next());
        let document = Document {
            id: id.clone(),
            bytes: bytes.cloned(),
            generation,
            created_at: there.map_or(self.batch.when, |document| document.created_at),
            updated_at: self.batch.when,
            sync_id: self.sync_id,
            sequence: stored.map(|document| document.sequence).unwrap_or_default().next(),
        };
        let delta = Delta::Bytes { before: before.map(|b| b.len()), after: bytes.map(|b| b.len()) };
        let subject = Subject::Document(id.clone());
        let record = self.record(subject, document.sequence, None, Role::Document, generation, delta);
        Ok(Some(Applied { entry: Entry::Document(document), record }))
    }

    fn record(
        &self,
        subject: Subject,
        sequence: Sequence,
        incarnation: Option<Incarnation>,
        role: Role,
        generation: Generation,
        delta: Delta,
    ) -> ChangeRecord {
        ChangeRecord {
            sync_id: self.sync_id,
            subject,
            sequence,
            incarnation,
            role,
            generation,
            cause: self.change.cause,
            who: Arc::clone(&self.change.who),
            when: self.batch.when,
            delta,
        }
    }
}
