// Velero as released, with one default changed: the metrics server of its
// controller-runtime manager, which no flag of Velero reaches, would listen on
// port 8080 of every interface. Off, several Velero servers can run on one
// machine and nothing is reachable from outside of it. Velero's own metrics
// (--metrics-address) are not affected.
package main

import (
	"os"
	"path/filepath"

	"github.com/vmware-tanzu/velero/pkg/cmd"
	"github.com/vmware-tanzu/velero/pkg/cmd/velero"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

func main() {
	defer klog.Flush()
	server.DefaultBindAddress = "0"
	cmd.CheckError(velero.NewCommand(filepath.Base(os.Args[0])).Execute())
}
