//! Asking a door of the Query protocol in plain HTTP, so that the very bytes can be looked at.

// Each test binary uses a part of it.
#![allow(dead_code)]

use std::net::SocketAddr;

use axum::Router;
use holdfast_local_aws::ec2::router;
use holdfast_sim::{Account, SharedAccount};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Opens EC2's door on a free port.
pub async fn open(account: Account) -> (SocketAddr, SharedAccount) {
    let account = account.shared();
    (serve(router(account.clone())).await, account)
}

/// Serves a door on a free port.
pub async fn serve(door: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, door).await });
    address
}

/// Sends a request and reads until the server closes the connection.
pub async fn raw(address: SocketAddr, parameters: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(parameters);
    let body = form.finish();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: ec2\r\nconnection: close\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A connection that is reset ends the answer as well as one that is closed.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

/// The status and the XML of EC2's answer to an operation with these parameters.
pub async fn call(address: SocketAddr, action: &str, parameters: &[(&str, &str)]) -> (u16, String) {
    call_version(address, "2016-11-15", action, parameters).await
}

/// The same with an API version.
pub async fn call_version(
    address: SocketAddr,
    version: &str,
    action: &str,
    parameters: &[(&str, &str)],
) -> (u16, String) {
    let mut all = vec![("Action", action), ("Version", version)];
    all.extend_from_slice(parameters);
    let answer = raw(address, &all).await;
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    (status, body)
}

/// The text of every element of this name.
pub fn texts<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    xml.split(&format!("<{name}>"))
        .skip(1)
        .map(|rest| rest.split_once(&format!("</{name}>")).unwrap().0)
        .collect()
}
