//! A local HTTP endpoint: one service of the local AWS.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// A service that listens on the loopback interface until this value is dropped.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    task: AbortHandle,
}

/// Binds a port of the loopback interface; 0 is any free one.
///
/// # Errors
///
/// The port is taken, or may not be bound.
pub async fn bind(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
}

impl Door {
    /// Serves `router` on a port of the loopback interface; 0 is any free one.
    ///
    /// # Errors
    ///
    /// The port is taken, or may not be bound.
    pub async fn open(router: Router, port: u16) -> std::io::Result<Self> {
        let listener = bind(port).await?;
        let address = listener.local_addr()?;
        let serve = async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%address, %error, "local endpoint stopped");
            }
        };
        Ok(Self::of(address, tokio::spawn(serve).abort_handle()))
    }

    /// A door that a task of its own serves.
    #[must_use]
    pub fn of(address: SocketAddr, task: AbortHandle) -> Self {
        Self { address, task }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL to give to an AWS SDK.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}
