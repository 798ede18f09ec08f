//! Which gateways are stopping, and until when: one stream's drain notices.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;
use hookwire_protocol::v1::DrainNotice;
use tokio::time::{Duration, Instant};

/// How many drains are remembered at once: a dispatcher has tens of gateways, but what it says is no bound.
const DRAINS: usize = 1_024;

/// By gateway: when its drain ends. In force from a notice to its summary.
#[derive(Debug, Default)]
pub(crate) struct Drains(Mutex<HashMap<String, Instant>>);

impl Drains {
    /// A notice came.
    pub(crate) fn begin(&self, notice: &DrainNotice) {
        let until = Instant::now() + Duration::from_millis(notice.budget_ms.into());
        let mut drains = self.locked();
        if drains.len() < DRAINS || drains.contains_key(&notice.gateway_id) {
            drains.insert(notice.gateway_id.clone(), until);
        }
    }

    /// Its summary came.
    pub(crate) fn end(&self, gateway_id: &str) {
        self.locked().remove(gateway_id);
    }

    /// Until when this gateway drains; `None` where it does not.
    pub(crate) fn deadline(&self, gateway_id: &str) -> Option<Instant> {
        self.locked().get(gateway_id).copied()
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        // Nothing under the lock panics halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(gateway: &str) -> DrainNotice {
        DrainNotice { gateway_id: gateway.to_owned(), budget_ms: 200, ..Default::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn in_force_from_the_notice_to_the_summary() {
        let drains = Drains::default();
        drains.begin(&notice("a"));
        assert_eq!(drains.deadline("a"), Some(Instant::now() + Duration::from_millis(200)));
        assert_eq!(drains.deadline("b"), None);
        drains.end("a");
        assert_eq!(drains.deadline("a"), None);
    }

    #[test]
    fn what_a_dispatcher_makes_up_takes_no_more_than_so_much() {
        let drains = Drains::default();
        (0..=DRAINS).for_each(|n| drains.begin(&notice(&n.to_string())));
        assert_eq!(drains.locked().len(), DRAINS);
    }
}
