//go:build tools

// Package tools pins the monitoring system that reads the dispatcher's metrics.
package tools

import (
	_ "github.com/prometheus/prometheus/cmd/prometheus"
	_ "github.com/prometheus/prometheus/cmd/promtool"
)
