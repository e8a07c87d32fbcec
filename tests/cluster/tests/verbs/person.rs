//! Somebody with a kubeconfig, and a promoter beside the cluster.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use cluster::{Cluster, eventually};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

const MANIFEST: &str = include_str!("app.yaml");
const COMMAND_PATIENCE: Duration = Duration::from_secs(120);

/// Somebody who types `kubectl-canary`.
pub(crate) struct Person<'a> {
    cluster: &'a Cluster,
    kubeconfig: PathBuf,
    /// What a kubeconfig of one's own is kept in.
    _own: Option<TempDir>,
}

/// A command that goes on.
pub(crate) struct Going {
    child: Child,
}

/// A promoter that runs on this machine and talks to the cluster. It ends with the value.
pub(crate) struct Promoter {
    _child: Child,
    _own: Option<TempDir>,
}

// === impl Person ===

impl<'a> Person<'a> {
    pub(crate) fn new(cluster: &'a Cluster) -> anyhow::Result<Self> {
        Ok(Self { cluster, kubeconfig: cluster.kubeconfig()?, _own: None })
    }

    /// In a cluster with a Deployment of v1 and a Canary for it, both new.
    pub(crate) async fn with_canary(cluster: &'a Cluster) -> anyhow::Result<Self> {
        let person = Self::new(cluster)?;
        cluster.definitions().await?;
        // Nobody may be there to take the finalizer off.
        let there =
            cluster.kubectl("get canary app -n verbs --ignore-not-found -o name").await.unwrap_or_default();
        if !there.is_empty() {
            cluster
                .kubectl(r#"patch canary app -n verbs --type merge -p {"metadata":{"finalizers":null}}"#)
                .await?;
            cluster.kubectl("delete canary app -n verbs --timeout 30s --ignore-not-found").await?;
            cluster.kubectl("delete deployments --all -n verbs --timeout 60s").await?;
        }
        cluster.apply(MANIFEST).await?;
        cluster.kubectl("rollout status deployment/app -n verbs --timeout 60s").await?;
        person.creates_canary("verbs", "app").await?;
        Ok(person)
    }

    pub(crate) async fn creates_canary(&self, namespace: &str, name: &str) -> anyhow::Result<()> {
        let canary = format!(
            "{{apiVersion: huidu.dev/v1alpha1, kind: Canary, metadata: {{name: {name}, namespace: {namespace}}}, \
             spec: {{deployment: app, mode: replicas, steps: [{{weight: 50%}}, {{weight: 100%}}]}}}}"
        );
        self.cluster.apply(&canary).await.map(drop)
    }

    /// Writes fields of the Canary's spec, as `a: 1, b: 2`.
    pub(crate) async fn changes_canary(&self, fields: &str) -> anyhow::Result<()> {
        let canary = format!(
            "{{apiVersion: huidu.dev/v1alpha1, kind: Canary, metadata: {{name: app, namespace: verbs}}, spec: {{deployment: \
             app, mode: replicas, steps: [{{weight: 50%}}, {{weight: 100%}}], {fields}}}}}"
        );
        self.cluster.apply(&canary).await.map(drop)
    }

    /// Somebody who may look at what is in the namespace, and no more.
    pub(crate) async fn guest(&self) -> anyhow::Result<Person<'a>> {
        self.cluster.kubectl("apply -f k8s/base/promoter/people.yaml").await?;
        let guest = "{apiVersion: v1, kind: ServiceAccount, metadata: {name: guest, namespace: verbs}}";
        self.cluster.apply(guest).await?;
        let binding = "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: guest, namespace: \
                       verbs}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}, subjects: \
                       [{kind: ServiceAccount, name: guest, namespace: verbs}]}";
        self.cluster.apply(binding).await?;
        self.as_account("guest", "verbs").await
    }

    /// The same person with the rights of an account.
    pub(crate) async fn as_account(&self, account: &str, namespace: &str) -> anyhow::Result<Person<'a>> {
        let token = self.cluster.kubectl(&format!("create token {account} -n {namespace}")).await?;
        let token = token.trim().to_owned();
        self.with_user(&format!("    token: {token}\n"), None).await
    }

    /// The same person with the address of another API server.
    pub(crate) async fn with_server(&self, server: &str) -> anyhow::Result<Person<'a>> {
        self.with_user("    token: none\n", Some(server)).await
    }

    async fn with_user(&self, user: &str, server: Option<&str>) -> anyhow::Result<Person<'a>> {
        let view = self.cluster.kubectl("config view --raw --minify -o json").await?;
        let view: Value = serde_json::from_str(&view)?;
        let cluster = &view["clusters"][0]["cluster"];
        let server = server.or(cluster["server"].as_str()).context("no server")?;
        let authority = cluster["certificate-authority-data"].as_str().unwrap_or_default();
        let file = cluster["certificate-authority"].as_str().unwrap_or_default();
        let trust = match (authority, file) {
            ("", file) => format!("certificate-authority: {file}"),
            (data, _) => format!("certificate-authority-data: {data}"),
        };
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: own\ncontexts:\n- name: own\n  context: {{cluster: c, user: u, \
             namespace: verbs}}\nclusters:\n- name: c\n  cluster:\n    server: {server}\n    {trust}\nusers:\n- name: u\n  \
             user:\n{user}"
        );
        let own = tempfile::tempdir()?;
        let kubeconfig = own.path().join("kubeconfig");
        std::fs::write(&kubeconfig, text)?;
        Ok(Person { cluster: self.cluster, kubeconfig, _own: Some(own) })
    }

    /// Changes the template as `kubectl set image` does.
    pub(crate) async fn sets(&self, version: &str) -> anyhow::Result<()> {
        self.cluster.kubectl(&format!("set env deployment/app -n verbs VERSION={version}")).await.map(drop)
    }

    /// The version in the Deployment's template.
    pub(crate) async fn env(&self) -> anyhow::Result<String> {
        let deployment = self.cluster.get("deployment app -n verbs").await?;
        let env = &deployment["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"];
        Ok(env.as_str().context("the template has no VERSION")?.to_owned())
    }

    /// The object as `-o json` shows it.
    pub(crate) async fn canary(&self) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.says("status -o json").await?)?)
    }

    fn command(&self, line: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(program("kubectl-canary")?);
        command.args(line.split_whitespace()).env("KUBECONFIG", &self.kubeconfig).kill_on_drop(true);
        if !["-A", "-n", "--context", "--server", "--kubeconfig"].iter().any(|flag| line.contains(flag)) {
            command.args(["-n", "verbs"]);
        }
        Ok(command)
    }

    /// What a command that must succeed prints.
    pub(crate) async fn says(&self, line: &str) -> anyhow::Result<String> {
        let (code, out, err) = self.ends(line).await?;
        ensure!(code == 0, "{line} ended with {code}: {out}{err}");
        Ok(out)
    }

    /// What a command tells that must end with this status.
    pub(crate) async fn fails(&self, line: &str, wanted: i32) -> anyhow::Result<String> {
        let (code, out, err) = self.ends(line).await?;
        ensure!(code == wanted, "{line} ended with {code} and not with {wanted}: {out}{err}");
        Ok(err)
    }

    async fn ends(&self, line: &str) -> anyhow::Result<(i32, String, String)> {
        let output = tokio::time::timeout(COMMAND_PATIENCE, self.command(line)?.output()).await;
        let output = output.with_context(|| format!("{line}: no end within {COMMAND_PATIENCE:?}"))??;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr)))
    }

    /// Says it again and again until what is printed is what is looked for.
    pub(crate) async fn until(
        &self,
        line: &str,
        what: &str,
        met: impl Fn(&str) -> bool,
    ) -> anyhow::Result<()> {
        eventually(Duration::from_secs(60), async || {
            let shown = self.says(line).await?;
            ensure!(met(&shown), "not {what}: {shown}");
            Ok(())
        })
        .await
    }

    /// A command that goes on.
    pub(crate) fn spawns(&self, line: &str) -> anyhow::Result<Going> {
        let child = self.command(line)?.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        Ok(Going { child })
    }

    /// kubectl, which finds its plugins on the PATH.
    pub(crate) async fn kubectl(&self, line: &str) -> anyhow::Result<String> {
        // A folder with nothing else in it: kubectl warns of what it does not know.
        let folder = tempfile::tempdir()?;
        std::os::unix::fs::symlink(program("kubectl-canary")?, folder.path().join("kubectl-canary"))?;
        let path = std::env::join_paths([folder.path(), Path::new("/usr/bin"), Path::new("/bin")])?;
        let mut command = self.cluster.command();
        let kubectl = command.as_std().get_program().to_owned();
        command = Command::new(kubectl);
        command.args(line.split_whitespace()).env("PATH", path).env("KUBECONFIG", &self.kubeconfig);
        let output = command.output().await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "kubectl {line}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(text)
    }
}

// === impl Going ===

impl Going {
    /// Its exit status, its lines, and what it told in the end.
    pub(crate) async fn ends(self, within: Duration) -> anyhow::Result<(i32, String, String)> {
        let output = tokio::time::timeout(within, self.child.wait_with_output()).await;
        let output = output.with_context(|| format!("no end within {within:?}"))??;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr)))
    }
}

// === impl Promoter ===

impl Promoter {
    /// It has the rights that the manifests give to a promoter, and no others.
    pub(crate) async fn start(cluster: &Cluster) -> anyhow::Result<Self> {
        cluster.kubectl("apply -f k8s/base/promoter/namespace.yaml").await?;
        cluster
            .kubectl("apply -n huidu -f k8s/base/promoter/account.yaml -f k8s/base/promoter/role.yaml")
            .await?;
        // The one before was killed: its lease would have to run out.
        cluster.kubectl("delete lease huidu-promoter -n huidu --ignore-not-found").await?;
        let account = Person::new(cluster)?.as_account("promoter", "huidu").await?;
        let child = Command::new(program("promoter")?)
            .args(["kubernetes", "--lease-namespace", "huidu", "--listen", "127.0.0.1:0"])
            .args(["--metrics-listen", "127.0.0.1:0"])
            .env("KUBECONFIG", &account.kubeconfig)
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { _child: child, _own: account._own })
    }
}

/// A program of this repository, which cargo has put beside the tests' folder.
fn program(name: &str) -> anyhow::Result<PathBuf> {
    let tests = std::env::current_exe()?;
    let program = tests.parent().and_then(Path::parent).context("no folder above")?.join(name);
    if !program.exists() {
        bail!("{} is not built; cargo build -p promoter", program.display());
    }
    Ok(program)
}
