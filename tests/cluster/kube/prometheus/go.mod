module huidu.dev/tests/cluster/prometheus

go 1.24.0

require github.com/prometheus/prometheus v0.55.1
