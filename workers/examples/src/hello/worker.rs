//! The I/O half of `hello`: reads two files, writes one.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use fsm_core::{
    ActionContext, ActionError, ActionPolicy, CollectContext, CollectError, DeriveContext, DeriveError,
    DesiredState, Policy, UserSpec, Worker,
};
use tokio::io::AsyncReadExt;

use super::{HelloAction, HelloConfig, HelloObserved, HelloState, Initially, Mood};

/// Enough for any greeting; a file that grows without end must not fill the memory.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// The kind `hello`.
#[derive(Debug, Default)]
pub struct Hello;

impl Worker for Hello {
    const KIND: &'static str = "hello";
    const POLICY: Policy =
        Policy::DEFAULT.with_actions(&[ActionPolicy::new("greet", Duration::from_secs(10))]);
    type Config = HelloConfig;
    type Observed = HelloObserved;
    type State = HelloState;
    type Action = HelloAction;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<HelloConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<HelloConfig>, DeriveError> {
        let config = &spec.config;
        if config.mood_file == config.greeting_file {
            let what = "the greeting would overwrite the mood: name another file than in `mood_file`";
            return Err(DeriveError::config(what).at("greeting_file"));
        }
        if config.greeting.len() as u64 > MAX_FILE_BYTES {
            let what =
                format!("a greeting may have {MAX_FILE_BYTES} bytes, this has {}", config.greeting.len());
            return Err(DeriveError::config(what).at("greeting"));
        }
        Ok(DesiredState::running(spec))
    }

    fn initial_state(spec: &UserSpec<HelloConfig>) -> HelloState {
        match spec.config.initially {
            Initially::Stopped => HelloState::Stopped,
            Initially::Running => HelloState::Running,
        }
    }

    async fn collect_observed_state(
        &self,
        cx: CollectContext<'_, Self>,
    ) -> Result<HelloObserved, CollectError> {
        let look = async |path: &Path| {
            read(path).await.map_err(|error| {
                CollectError::new(format!("can't read {}", path.display())).with_source(error)
            })
        };
        let mood = match look(&cx.config().mood_file).await? {
            None => Mood::Unknown,
            Some(text) if text.split_whitespace().next() == Some("sad") => Mood::Sad,
            Some(_) => Mood::Happy,
        };
        Ok(HelloObserved { mood, greeting: look(&cx.config().greeting_file).await? })
    }

    async fn execute(&self, action: HelloAction, cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match action {
            HelloAction::Greet => greet(&cx.config().greeting_file, &cx.config().greeting).await,
        }
    }
}

/// The text of a file; none when there is no file.
async fn read(path: &Path) -> std::io::Result<Option<String>> {
    let file = match tokio::fs::File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).await?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Check, then act: a greeting that stands is not written again. A reader sees the old text or the new one, never half.
async fn greet(path: &Path, greeting: &str) -> Result<(), ActionError> {
    if read(path).await.is_ok_and(|found| found.as_deref() == Some(greeting)) {
        return Ok(());
    }
    let mut draft = path.as_os_str().to_owned();
    draft.push(".draft");
    let write = async {
        tokio::fs::write(&draft, greeting).await?;
        tokio::fs::rename(&draft, path).await
    };
    write.await.map_err(|error| {
        let what = format!("can't write the greeting to {}", path.display());
        let failed = if error.kind() == ErrorKind::NotFound {
            ActionError::permanent(format!("{what}: create its folder first"))
        } else if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::IsADirectory) {
            ActionError::permanent(what)
        } else {
            ActionError::transient(what)
        };
        failed.with_source(error)
    })
}
