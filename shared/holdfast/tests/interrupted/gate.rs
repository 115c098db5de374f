//! Who may go next: every call of every run waits here until it is let through, one at a time.
//!
//! A run that is cut never hears of its next call, as a process that is killed: either the call was
//! not carried out, or it was and the answer is lost.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};

/// Where a run is killed.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Calls that come through whole before.
    pub after: u64,
    /// Whether the next one is carried out.
    pub carried_out: bool,
}

/// A step of some run or of a stranger, in the order of all.
pub type Moment = u64;

#[derive(Default)]
struct State {
    /// Calls that wait, by the order of their coming.
    waiting: BTreeMap<u64, (usize, Option<Waker>)>,
    arrived: u64,
    moment: Moment,
    /// Names of the calls made, by run.
    calls: BTreeMap<usize, Vec<&'static str>>,
    cuts: BTreeMap<usize, Cut>,
    /// The call at which a run was killed.
    dead: BTreeMap<usize, &'static str>,
    /// Calls of the records that fail, each once.
    refused: Vec<&'static str>,
    /// Calls that are never answered, each once.
    stalled: Vec<&'static str>,
}

/// Shared by the ports of all runs of one case.
#[derive(Clone, Default)]
pub struct Gate(Arc<Mutex<State>>);

/// What came of a call.
pub enum Passed {
    /// It goes on, and is answered.
    Through,
    /// It is carried out, and not answered.
    AnswerLost,
}

/// Takes a name out of those that something is to become of, where it is among them.
fn take(names: &mut Vec<&'static str>, name: &str) -> bool {
    let place = names.iter().position(|one| *one == name);
    place.map(|place| names.remove(place)).is_some()
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Kills a run.
    pub fn cut(&self, run: usize, cut: Cut) {
        self.state().cuts.insert(run, cut);
    }

    /// Fails the next call of the records of this name.
    #[allow(dead_code, reason = "not every kind of run meets a table that fails")]
    pub fn refuse(&self, name: &'static str) {
        self.state().refused.push(name);
    }

    /// Whether this call of the records fails.
    pub fn refuses(&self, name: &str) -> bool {
        take(&mut self.state().refused, name)
    }

    /// Never answers the next call of this name.
    #[allow(dead_code, reason = "not every kind of run meets an API that hangs")]
    pub fn stall(&self, name: &'static str) {
        self.state().stalled.push(name);
    }

    /// Whether this call is never answered.
    pub fn stalls(&self, name: &str) -> bool {
        take(&mut self.state().stalled, name)
    }

    /// Whether a call that is never to be answered was not made.
    #[allow(dead_code, reason = "not every kind of run meets an API that hangs")]
    pub fn is_to_stall(&self) -> bool {
        !self.state().stalled.is_empty()
    }

    /// How many calls a run has made.
    pub fn calls(&self, run: usize) -> u64 {
        self.named(run).len() as u64
    }

    /// The calls that a run has made, in their order.
    pub fn named(&self, run: usize) -> Vec<&'static str> {
        self.state().calls.get(&run).cloned().unwrap_or_default()
    }

    /// A moment of its own.
    pub fn moment(&self) -> Moment {
        let mut state = self.state();
        state.moment += 1;
        state.moment
    }

    /// The calls at which runs were killed, in the order of the runs.
    pub fn killed_at(&self) -> Vec<&'static str> {
        self.state().dead.values().copied().collect()
    }

    fn is_dead(&self, run: usize) -> bool {
        self.state().dead.contains_key(&run)
    }

    /// Waits for a call's turn. A killed run's never comes.
    pub async fn turn(&self, run: usize, name: &'static str) -> Passed {
        let ticket = {
            let mut state = self.state();
            state.arrived += 1;
            let ticket = state.arrived;
            state.waiting.insert(ticket, (run, None));
            ticket
        };
        poll_fn(|context| {
            let mut state = self.state();
            match state.waiting.get_mut(&ticket) {
                Some((_, waker)) => {
                    *waker = Some(context.waker().clone());
                    Poll::Pending
                }
                None => Poll::Ready(()),
            }
        })
        .await;
        let passed = {
            let mut state = self.state();
            let calls = state.calls.entry(run).or_default();
            calls.push(name);
            let made = calls.len() as u64;
            match state.cuts.get(&run).copied() {
                Some(cut) if made > cut.after => {
                    state.dead.insert(run, name);
                    cut.carried_out.then_some(Passed::AnswerLost)
                }
                _ => Some(Passed::Through),
            }
        };
        match passed {
            Some(passed) => passed,
            None => std::future::pending().await,
        }
    }

    /// Lets one of the waiting calls through; `choose` is given how many there are. Whether any
    /// waited.
    fn let_one_through(&self, choose: &mut impl FnMut(usize) -> usize) -> bool {
        let tickets: Vec<u64> = self.state().waiting.keys().copied().collect();
        if tickets.is_empty() {
            return false;
        }
        // Without the lock: what happens between two calls has moments of its own.
        let ticket = tickets[choose(tickets.len())];
        let waiting = self.state().waiting.remove(&ticket);
        if let Some((_, Some(waker))) = waiting {
            waker.wake();
        }
        true
    }
}

/// One run: its number at the gate, and its work.
pub type Run<'w, T> = (usize, Pin<Box<dyn Future<Output = T> + 'w>>);

/// Runs them side by side to their ends, or to where they are cut. `choose` decides whose call is
/// next, and is the place for what happens between two calls.
pub async fn side_by_side<T>(
    gate: &Gate,
    runs: Vec<Run<'_, T>>,
    mut choose: impl FnMut(usize) -> usize,
) -> Vec<Option<T>> {
    let mut ended: Vec<Option<T>> = runs.iter().map(|_| None).collect();
    let mut runs: Vec<Option<_>> = runs.into_iter().map(Some).collect();
    poll_fn(|context| {
        loop {
            for (place, slot) in runs.iter_mut().enumerate() {
                let Some((number, run)) = slot else { continue };
                match run.as_mut().poll(context) {
                    Poll::Ready(end) => {
                        ended[place] = Some(end);
                        *slot = None;
                    }
                    // Dropped with all it had under way.
                    Poll::Pending if gate.is_dead(*number) => *slot = None,
                    Poll::Pending => {}
                }
            }
            if runs.iter().all(Option::is_none) {
                return Poll::Ready(());
            }
            // None waits: they wait for a timer.
            if !gate.let_one_through(&mut choose) {
                return Poll::Pending;
            }
        }
    })
    .await;
    ended
}
