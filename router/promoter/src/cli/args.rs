//! What can be said on the command line.

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use release::Duration;
use split::Weight;
use std::path::PathBuf;

/// Shows and steers gradual releases.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-canary",
    version,
    after_help = "Exit status:\n  0   done, or what was waited for has come\n  1   something else has come, or the verb makes \
                  no sense now\n  2   what was waited for did not come in time\n  64  the command line makes no sense\n  \
                  69  the promoter or the API server cannot be reached, or does not answer"
)]
pub struct Args {
    /// Where the canaries are.
    #[command(flatten)]
    pub target: Target,
    /// How the answer is printed.
    #[arg(long, short, value_enum, default_value_t = Output::Table, global = true)]
    pub output: Output,
    /// What to do.
    #[command(subcommand)]
    pub(super) verb: VerbArgs,
}

/// Where the canaries are. Nothing said: in the cluster of the kubeconfig, as for kubectl, or where there is none, with
/// a promoter at `http://127.0.0.1:8090`.
#[derive(Clone, Debug, ClapArgs)]
pub struct Target {
    /// The address of a promoter that runs without a cluster, such as http://127.0.0.1:8090.
    #[arg(long, short, env = "HUIDU_SERVER", global = true, value_name = "URL",
        conflicts_with_all = ["kubeconfig", "context", "namespace", "all_namespaces"])]
    pub server: Option<String>,
    /// The kubeconfig; by default the files of KUBECONFIG, or ~/.kube/config.
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; by default its current one.
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// The namespace; by default that of the context.
    #[arg(long, short, global = true, value_name = "NAME")]
    pub namespace: Option<String>,
    /// All namespaces.
    #[arg(long, short = 'A', global = true, conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// How long one answer of the API server or of the promoter may take.
    #[arg(long, global = true, value_name = "DURATION", default_value = "15s")]
    pub request_timeout: Duration,
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For both.
    Yaml,
}

/// What can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Goal {
    /// The revision that is asked for was promoted.
    Promoted,
    /// The candidate was taken back.
    Failed,
    /// Nothing is under way and all is ready.
    Stable,
}

#[derive(Debug, Subcommand)]
pub(super) enum VerbArgs {
    /// Show where a release is and what it waits for.
    Status(StatusArgs),
    /// Go on from the present step without waiting for more.
    Promote {
        #[command(flatten)]
        canary: Name,
        /// Go past all steps. Replicas, readiness and acknowledgements are still waited for.
        #[arg(long)]
        full: bool,
    },
    /// Take the candidate out.
    Abort(Name),
    /// Stay at the present weight; a candidate that is worse is still taken out.
    Pause(Name),
    /// Go on after a pause or a weight set by hand.
    Resume(Name),
    /// Try the failed candidate again.
    Retry(Name),
    /// Go back to the template before: stable's during or after a release, otherwise the one before that.
    Undo(Name),
    /// Make new pods of the same template, as a release like any other. `kubectl rollout restart` refuses Deployments that
    /// are paused, as those of canaries are.
    Restart(Name),
    /// Stay at this weight until `resume` or `promote`.
    SetWeight {
        /// The candidate's share, such as 30%.
        weight: Weight,
        #[command(flatten)]
        canary: Name,
    },
    /// List the releases that have ended.
    History(Name),
    /// Say why the verdict is what it is, with its numbers, and what would change it.
    Explain(Name),
    /// Print a completion script, as in `source <(kubectl-canary completion bash)`.
    Completion {
        /// The shell.
        shell: Shell,
    },
}

#[derive(Debug, ClapArgs)]
pub(super) struct Name {
    /// The canary; may be left out where there is only one.
    pub(super) name: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    pub(super) canary: Name,
    /// Keep showing it as it changes: in place on a terminal, a line for each change otherwise.
    #[arg(long, short)]
    pub(super) watch: bool,
    /// Return when this has come, or cannot come any more.
    #[arg(long, value_enum, value_name = "GOAL")]
    pub(super) wait: Option<Goal>,
    /// How long to wait at most, such as 5m.
    #[arg(long, requires = "wait")]
    pub(super) timeout: Option<Duration>,
}

// === impl Target ===

impl Target {
    /// Whether a flag says that a cluster is meant.
    pub(super) fn names_a_cluster(&self) -> bool {
        let Self { server: _, kubeconfig, context, namespace, all_namespaces, request_timeout: _ } = self;
        kubeconfig.is_some() || context.is_some() || namespace.is_some() || *all_namespaces
    }
}
