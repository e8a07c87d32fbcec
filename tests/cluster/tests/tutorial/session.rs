//! An author with cookies, and doors to single pods.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use cluster::Cluster;
use cluster::http::{Answer, send};
use http_body_util::Full;
use hyper::{Method, Request};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

/// A port of this machine that leads to one pod, for as long as the value lives.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) address: SocketAddr,
    _kubectl: Child,
}

impl Forward {
    pub(crate) async fn to(cluster: &Cluster, pod: &str) -> anyhow::Result<Self> {
        let mut command = cluster.command();
        command.args(["-n", "blog", "port-forward", &format!("pod/{pod}"), ":8080"]);
        let mut kubectl = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut lines = BufReader::new(kubectl.stdout.take().context("kubectl without output")?).lines();
        let line = lines.next_line().await?.context("kubectl port-forward ended")?;
        let address = line.strip_prefix("Forwarding from ").and_then(|rest| rest.split_once(' '));
        let address = address.with_context(|| format!("kubectl port-forward said {line}"))?.0.parse()?;
        // Its later lines have nowhere to go otherwise.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { address, _kubectl: kubectl })
    }
}

/// The cookies of one browser. It keeps a secure cookie although the pods speak plain HTTP, as a browser behind TLS does.
#[derive(Debug, Default)]
pub(crate) struct Session {
    cookies: BTreeMap<String, String>,
}

impl Session {
    pub(crate) async fn sign_in(
        &mut self,
        address: SocketAddr,
        name: &str,
        password: &str,
    ) -> anyhow::Result<()> {
        let answer = self.post(address, "/login", &[("username", name), ("password", password)]).await?;
        ensure!(answer.status == 303 && !self.cookies.is_empty(), "{} for the sign-in", answer.status);
        Ok(())
    }

    pub(crate) async fn get(&mut self, address: SocketAddr, path: &str) -> anyhow::Result<Answer> {
        self.ask(address, (Method::GET, path), String::new()).await
    }

    /// Sends a form whose values need no escaping but for spaces.
    pub(crate) async fn post(
        &mut self,
        address: SocketAddr,
        path: &str,
        form: &[(&str, &str)],
    ) -> anyhow::Result<Answer> {
        let fields = form.iter().map(|(name, value)| format!("{name}={}", value.replace(' ', "+")));
        self.ask(address, (Method::POST, path), fields.collect::<Vec<_>>().join("&")).await
    }

    async fn ask(
        &mut self,
        address: SocketAddr,
        (method, path): (Method, &str),
        form: String,
    ) -> anyhow::Result<Answer> {
        let cookies =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", address.to_string())
            .header("origin", format!("http://{address}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", cookies)
            .body(Full::new(Bytes::from(form)))?;
        let answer = send(address, request).await?;
        for cookie in &answer.cookies {
            let pair = cookie.split(';').next().and_then(|pair| pair.split_once('='));
            let (name, value) = pair.with_context(|| format!("no cookie: {cookie}"))?;
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        Ok(answer)
    }
}
