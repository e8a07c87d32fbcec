# What the scripts of this folder share; sourced, never run.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/huidu/cluster

fail() { echo "$*" >&2; exit 1; }

# Sets DIR (all that the cluster keeps), LOG (its logs, kept after its end) and CGROUP of the cluster of this name.
name_cluster() {
    [[ ${1:-} =~ ^[a-z][a-z0-9-]{0,30}$ ]] || fail "the name of a cluster is 1 to 31 of a-z, 0-9 and -, like demo; not «${1:-}»"
    NAME=$1 DIR=$cache/run/$1 LOG=$cache/log/$1 CGROUP=huidu-$1
    case $DIR in /run/* | /var/lib/* | /var/log/*) fail "the cluster has its own $DIR: set XDG_CACHE_HOME to a folder elsewhere" ;; esac
}
