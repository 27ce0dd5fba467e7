//! Binding: ports whose error names the setting, and the control socket.

use std::fs;
use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use axum::Router;
use axum::extract::ConnectInfo;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use super::doorman::Doorman;
use crate::http::Peer;
use crate::{lock, sockets};

/// Listens on a port, or says which setting to change.
pub(super) async fn tcp(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let why = match error.kind() {
            ErrorKind::AddrInUse => "another process listens there".to_owned(),
            ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
            ErrorKind::PermissionDenied => "ports below 1024 need a privilege".to_owned(),
            _ => error.to_string(),
        };
        anyhow!("cannot listen on {address}: {why}; choose another one by {setting}")
    })
}

/// The socket through which commands reach the `serve` that holds a data directory. Gone when this is dropped.
#[derive(Debug)]
pub(super) struct ControlSocket {
    path: PathBuf,
    listener: std::os::unix::net::UnixListener,
}

impl ControlSocket {
    /// Binds it. The caller holds the data directory's lock, so a file that is there already is a dead process's.
    pub(super) fn bind(data_dir: &Path) -> anyhow::Result<Self> {
        let path = sockets::path(data_dir, lock::SOCKET)?;
        let context = || format!("binding the control socket {}", path.display());
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).with_context(context),
            _ => {}
        }
        let listener = std::os::unix::net::UnixListener::bind(&path).with_context(context)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).with_context(context)?;
        listener.set_nonblocking(true).with_context(context)?;
        Ok(Self { path, listener })
    }

    /// Answers on it until `stop`.
    pub(super) fn serve(
        &self,
        router: Router,
        stop: CancellationToken,
    ) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + Send + use<>> {
        let listener = UnixListener::from_std(self.listener.try_clone()?)?;
        Ok(async move {
            Doorman::default().serve(listener, router, |stream, _| ConnectInfo(Peer::of(stream)), stop).await;
            Ok(())
        })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // A file that stays behind does no harm: the next one to hold the lock removes it.
        let _ = fs::remove_file(&self.path);
    }
}
