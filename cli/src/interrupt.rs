//! Ctrl-C: heeded in good order by what is under way, and at once where nothing is, or where it comes
//! a second time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use crate::output::{plain, waited};

/// What a shell says of a program that an interrupt ended: 128 and the signal's number.
const INTERRUPTED: i32 = 130;

/// What is said and done at the next interrupt.
struct Heeding {
    words: &'static str,
    stop: Box<dyn FnOnce() + Send>,
}

/// Whether one was heeded in this process.
static CAME: AtomicBool = AtomicBool::new(false);

static HEEDING: Mutex<Option<Heeding>> = Mutex::new(None);

fn heeding() -> MutexGuard<'static, Option<Heeding>> {
    HEEDING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a person has had enough of it: of a command in several parts, no other one is begun.
#[must_use]
pub fn came() -> bool {
    CAME.load(Ordering::SeqCst)
}

/// Heeds interrupts until it is dropped.
#[derive(Debug)]
pub struct Listening(());

impl Drop for Listening {
    fn drop(&mut self) {
        heeding().take();
    }
}

/// Says `words` and calls `stop` at the next interrupt instead of ending the command.
pub async fn listen(words: &'static str, stop: impl FnOnce() + Send + 'static) -> Listening {
    static ONCE: Once = Once::new();
    *heeding() = Some(Heeding {
        words,
        stop: Box::new(stop),
    });
    // Heard from here on: it is registered when it is first polled, and then never again ends the
    // program by itself (tokio, `signal::ctrl_c`).
    let mut heard = Box::pin(tokio::signal::ctrl_c());
    let _ = futures::poll!(&mut heard);
    ONCE.call_once(|| {
        tokio::spawn(async move {
            while heard.await.is_ok() {
                let Some(Heeding { words, stop }) = heeding().take() else {
                    waited();
                    std::process::exit(INTERRUPTED);
                };
                CAME.store(true, Ordering::SeqCst);
                plain(words);
                stop();
                heard = Box::pin(tokio::signal::ctrl_c());
            }
        });
    });
    Listening(())
}
