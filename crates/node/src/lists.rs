//! What a [`Handle`] does with lists of items: takes them in, and checks jobs that name one.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use model::job::Fault as JobFault;
use model::{ItemsKind, JobSpec};

use crate::blobs::{Fault, Stored, Upload, hex};
use crate::copies::named_by_live_runs;
use crate::error::Refused;
use crate::handle::Handle;

/// When to try again where room has to be made first.
const ROOM_WITHIN: Duration = Duration::from_secs(60);
/// When to try again where others upload.
const UPLOADS_WITHIN: Duration = Duration::from_secs(2);

/// A list on its way in. Dropped before its end it leaves nothing.
pub struct Uploading {
    /// `None` while a blocking thread writes, and behind a failure.
    upload: Option<Upload>,
}

impl Handle {
    /// Begins to take a list in.
    pub async fn upload(&self, kind: ItemsKind) -> Result<Uploading, Refused> {
        let view = self.view().await?;
        let blobs = self.shared.blobs.clone();
        let begun = blocking(move || {
            let now = SystemTime::now();
            if blobs.has_old(now).map_err(|error| Fault::io("look through", error))? {
                let live = named_by_live_runs(&view);
                let live: BTreeSet<_> = live.into_iter().map(|items| items.blob).collect();
                let swept = blobs.sweep(now, &|blob| live.contains(blob));
                swept.map_err(|error| Fault::io("remove", error))?;
            }
            Upload::begin(blobs, kind)
        });
        match begun.await? {
            Some(upload) => Ok(Uploading { upload: Some(upload) }),
            None => Err(Refused::Overloaded {
                why: "as many lists as may be are on their way in".to_owned(),
                retry_after: UPLOADS_WITHIN,
            }),
        }
    }

    /// What is wrong with the lists that a job names. From now on they are kept for a while, by a
    /// majority of the nodes that vote.
    pub(crate) async fn items_faults(&self, spec: &JobSpec) -> Result<Vec<JobFault>, Refused> {
        let mut faults = Vec::new();
        for (i, task) in spec.tasks.iter().enumerate() {
            let (Some(items), Some(array)) = (task.items, task.array) else { continue };
            let lists = &self.shared.lists;
            let (field, problem) = match lists.count(items).await {
                Ok(count) if array.last <= count => {
                    lists.spread(items).await?;
                    continue;
                }
                Ok(count) => {
                    ("array", format!("ends at {}, and the list has {count} items", array.last))
                }
                Err(fault) => {
                    let name = hex(&items.blob);
                    ("items", format!("the list {name} cannot be used: {fault}; upload it again"))
                }
            };
            faults.push(JobFault { field: format!("tasks[{i}].{field}"), problem });
        }
        Ok(faults)
    }
}

impl Uploading {
    /// Takes the next piece, once it is written.
    pub async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Refused> {
        let mut upload = self.take()?;
        let written = blocking(move || {
            upload.write(&bytes)?;
            Ok(upload)
        });
        self.upload = Some(written.await?);
        Ok(())
    }

    /// Answers once the list is on disk.
    pub async fn finish(mut self) -> Result<Stored, Refused> {
        let upload = self.take()?;
        blocking(move || upload.finish()).await
    }

    fn take(&mut self) -> Result<Upload, Refused> {
        self.upload.take().ok_or_else(|| Refused::Unfit("the upload has failed before".to_owned()))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Refused> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Refused::Failed(error.to_string()))?.map_err(|fault| match fault {
        Fault::Unfit(why) => Refused::Unfit(format!("the list cannot be used: {why}")),
        Fault::NoRoom(why) => Refused::NoSpace {
            why: format!("the list cannot be kept: {why}"),
            retry_after: ROOM_WITHIN,
        },
        fault @ (Fault::Missing | Fault::Changed | Fault::Elsewhere(_) | Fault::Io { .. }) => {
            Refused::Failed(format!("the list cannot be kept: {fault}"))
        }
    })
}
