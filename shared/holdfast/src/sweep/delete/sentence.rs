//! What an earlier sweep condemned and the last look found to be needed: it is free again.

use holdfast_core::plan::judge::Verdict;
use holdfast_core::ports::records::Records;
use holdfast_core::ports::{ReadEc2, WriteEc2};
use holdfast_core::report::{Reason, ReasonCode};

use super::check::Looked;
use super::{Deleter, Ground};
use crate::aws::CALL_TIMEOUT;

impl<E: ReadEc2 + WriteEc2, R: Records> Deleter<'_, E, R> {
    /// Frees what the last look holds for another reason than missing evidence, and says so: its
    /// grace begins anew when nothing needs it any more.
    pub(super) async fn free(&self, ground: &Ground, looked: &mut Looked) {
        if looked.unread() {
            return;
        }
        if let Some(reason) = self.freed(ground, &looked.verdict).await {
            looked.verdict.hold(reason);
        }
    }

    /// That an artifact whose grace had run is free again, where it was condemned before.
    pub(super) async fn freed(&self, ground: &Ground, verdict: &Verdict) -> Option<Reason> {
        let id = verdict.subject.id();
        if !ground.marked.contains(id) {
            return None;
        }
        let freed = async {
            let lease = self.held.good_for(CALL_TIMEOUT).await?;
            let ids = [id.to_owned()];
            self.records.set_condemned(&ids, None, &lease).await
        };
        Some(match freed.await {
            Ok(()) => {
                let detail = "it was condemned by an earlier sweep and is free again";
                Reason::with(ReasonCode::Grace, detail)
            }
            Err(error) => {
                let detail = format!("it is free again, but {error}");
                Reason::with(ReasonCode::TableFailed, detail)
            }
        })
    }
}
