//! Records in the store, as documents beside the tree; written before what they say takes effect (H-5, X-23).

use std::sync::Arc;

use fsm_store::{Batch, DocumentId, ReadError, Retention, Store, Timestamp, WriteError};
use tokio::task::JoinSet;

use super::id::ExecId;
use super::record::Record;

/// The kind of document.
const EXECUTION: &str = "execution";
/// Who wrote it, for the history.
const WHO: &str = "exec";
/// Records in one page while they are loaded: large enough to be quick, and small beside the memory of one record.
const PAGE: usize = 256;

/// What is kept can't be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ArchiveError {
    #[error("the record of the execution can't be written")]
    Write(#[from] WriteError),
    #[error("the record of an execution can't be read")]
    Read(#[from] ReadError),
    #[error("the record of an execution has no JSON form")]
    Form(#[from] serde_json::Error),
    #[error("the store gave up because of a bug: it panicked")]
    Panicked,
}

/// Where records are kept.
#[derive(Clone)]
pub(super) struct Archive {
    store: Arc<dyn Store>,
}

impl Archive {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Writes a record; gives its size.
    ///
    /// # Cancel safety
    /// What was begun is written all the same.
    pub(super) async fn put(&self, record: Arc<Record>, now: u64) -> Result<usize, ArchiveError> {
        self.blocking(move |store| {
            let bytes = serde_json::to_vec(&*record)?;
            let (size, mut batch) = (bytes.len(), Batch::new(Timestamp::new(now), WHO));
            batch.put(document(&record.id), bytes);
            store.write(&batch)?;
            Ok(size)
        })
        .await
    }

    /// Reads a record.
    pub(super) async fn get(&self, id: ExecId) -> Result<Option<Record>, ArchiveError> {
        self.blocking(move |store| match store.document(&document(&id))?.and_then(|found| found.bytes) {
            Some(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            None => Ok(None),
        })
        .await
    }

    /// Forgets records.
    pub(super) async fn delete(&self, ids: Vec<ExecId>, now: u64) -> Result<(), ArchiveError> {
        self.blocking(move |store| {
            let mut batch = Batch::new(Timestamp::new(now), WHO);
            for id in &ids {
                batch.delete(document(id));
            }
            store.write(&batch)?;
            Ok(())
        })
        .await
    }

    /// Lets the store forget that there were records, where those are many. The history of the tree is left alone.
    pub(super) async fn forget_deleted(&self, now: u64) {
        let nothing_else = Retention::default()
            .with_max_age(std::time::Duration::MAX)
            .with_max_records(usize::MAX)
            .with_max_bytes(usize::MAX);
        let forgot = self.blocking(move |store| Ok(store.compact(Timestamp::new(now), &nothing_else))).await;
        if let Ok(Err(error)) = forgot {
            tracing::warn!(error = %fsm_core::chain(&error), "the store can't forget old executions");
        }
    }

    /// All records, each with its size. One that can't be read is left alone, and said.
    ///
    /// # Errors
    /// The store's.
    pub(super) fn load(&self) -> Result<Vec<(Record, usize)>, ReadError> {
        let (mut records, mut after) = (Vec::new(), None::<Arc<str>>);
        loop {
            let page = self.store.documents(EXECUTION, after.as_deref(), PAGE)?;
            after = page.items.last().map(|document| Arc::clone(&document.id.key));
            for (document, bytes) in page.items.into_iter().filter_map(|mut d| d.bytes.take().map(|b| (d, b)))
            {
                match serde_json::from_slice(&bytes) {
                    Ok(record) => records.push((record, bytes.len())),
                    Err(error) => {
                        tracing::warn!(%error, execution = %document.id.key, "its record can't be read, and is left alone");
                    }
                }
            }
            if !page.more {
                return Ok(records);
            }
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> Result<T, ArchiveError> + Send + 'static,
    ) -> Result<T, ArchiveError> {
        let (store, mut tasks) = (Arc::clone(&self.store), JoinSet::new());
        tasks.spawn_blocking(move || work(&*store));
        tasks.join_next().await.and_then(Result::ok).unwrap_or(Err(ArchiveError::Panicked))
    }
}

fn document(id: &ExecId) -> DocumentId {
    DocumentId::new(EXECUTION, Arc::clone(id.shared()))
}
