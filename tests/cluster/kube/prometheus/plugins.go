// The one service discovery of many that a cluster's Prometheus needs: the others bring the libraries of every cloud.
package plugins

import _ "github.com/prometheus/prometheus/discovery/kubernetes"
