#!/bin/sh
# Writes go.mod: k8s.io/kubernetes at one version, its staging modules at the matching v0 version,
# everything else at the versions that release itself pins.  usage: gen-gomod.sh 1.34.4 3.6.4 (of etcd: as the client it pins)
set -eu
v=$1 stage=v0.${1#1.}
src=$(go mod download -json k8s.io/kubernetes@v$v | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
{
    echo "module huidu.dev/tests/cluster"
    echo
    grep -E '^(go|godebug) ' "$src"
    echo
    echo "require k8s.io/kubernetes v$v"
    echo
    # its own pins (direct and indirect), staging modules at their published version
    awk '/^require \(/,/^\)/' "$src" | sed "s/ v0\.0\.0$/ $stage/; s/ v0\.0\.0 \/\// $stage \/\//"
    echo
    echo "replace ("
    sed -n "s#^\t\(k8s.io/[a-z-]*\) => ./staging/.*#\t\1 => \1 $stage#p" "$src"
    echo ")"
} > go.mod
go mod edit -require="go.etcd.io/etcd/server/v3@v$2"
go mod tidy
