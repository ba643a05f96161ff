//go:build tools

// Package tools pins the CSI snapshot controller, its sidecar and the snapshot CRDs.
package tools

import (
	_ "github.com/kubernetes-csi/external-snapshotter/v8/cmd/csi-snapshotter"
	_ "github.com/kubernetes-csi/external-snapshotter/v8/cmd/snapshot-controller"
)
