//! Documents beside the tree: overrides, config generations, execution records.

use super::Harness;
use super::world::{after, at, conflict, create, generation, write};
use crate::{Conflict, DocumentId, Effect, Expected, Op, Store, Timestamp};

fn id() -> DocumentId {
    DocumentId::new("override", "/edge/press")
}

fn put(expected: Option<Expected>, bytes: &[u8]) -> Op {
    Op::Put { id: id(), expected, bytes: bytes.into() }
}

/// A document is set whatever is there, or only when what is there is what the writer believes.
pub fn a_document_is_compared_only_when_asked<H: Harness>(harness: &H) {
    let store = create(harness);
    write(&store, at(1).push(put(Some(Expected::Nothing), b"one")));
    write(&store, at(2).push(put(None, b"two")));
    for expected in [Expected::Nothing, after(1)] {
        let stale = conflict(&store, at(3).push(put(Some(expected), b"three")));
        assert_eq!(stale, Conflict::Document { id: id(), expected, stored: Some(generation(2)) });
    }
    write(&store, at(4).push(put(Some(after(2)), b"three")));
    assert_eq!(write(&store, at(5).push(put(None, b"three"))).effects, [Effect::Unchanged]);
    let document = store.document(&id()).expect("it can be read").expect("it is there");
    assert_eq!(document.bytes.as_deref(), Some(&b"three"[..]));
    assert_eq!(document.generation, generation(3));
    assert_eq!((document.created_at, document.updated_at), (Timestamp::new(1), Timestamp::new(4)));
}

/// A deleted document is not there any more; one that takes its place gets a generation that nobody saw.
pub fn a_deleted_document_is_gone_and_its_generation_goes_on<H: Harness>(harness: &H) {
    let store = create(harness);
    assert_eq!(write(&store, at(0).delete(id())).effects, [Effect::Unchanged]);
    write(&store, at(1).push(put(None, b"one")));
    write(&store, at(2).delete(id()));
    assert_eq!(store.document(&id()).expect("it can be read"), None);
    assert!(store.documents("override", None, 10).expect("it can be read").items.is_empty());
    assert_eq!(store.stats().expect("it can be read").documents, 0);
    write(&store, at(3).push(put(Some(Expected::Nothing), b"two")));
    let document = store.document(&id()).expect("it can be read").expect("it is there");
    assert_eq!((document.generation, document.created_at), (generation(3), Timestamp::new(3)));
}

/// A listing gives the documents of one kind only, in the order of keys.
pub fn documents_of_a_kind_are_listed_in_pages<H: Harness>(harness: &H) {
    let store = create(harness);
    let mut batch = at(0);
    for kind in ["config", "override", "overrides"] {
        for key in ["c", "a", "b"] {
            batch.put(DocumentId::new(kind, key), kind.as_bytes());
        }
    }
    write(&store, &batch);
    let first = store.documents("override", None, 2).expect("it can be read");
    let keys = |page: &crate::Page<crate::Document>| -> Vec<String> {
        page.items.iter().map(|document| document.id.key.to_string()).collect()
    };
    assert_eq!((keys(&first), first.more), (vec!["a".into(), "b".into()], true));
    let rest = store.documents("override", Some("b"), 2).expect("it can be read");
    assert_eq!((keys(&rest), rest.more), (vec!["c".to_owned()], false));
    assert!(rest.items.iter().all(|document| &*document.id.kind == "override"));
}
