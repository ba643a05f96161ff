// A double of a CSI driver, for tests: Identity and the snapshot half of
// Controller, with no storage behind it. It speaks the real protocol to the
// real sidecar (csi-snapshotter); that a snapshot holds anything is pretended.
//
//	csi-double -folder F -driver NAME -size BYTES
//	csi-double -folder F snapshots
//	csi-double -folder F refuse WORDS | accept
//
// The first serves. Everything else about it lies in its folder: the socket
// csi.sock; each snapshot it made as a line of snapshots.jsonl; and while there
// is a file named failure, every request for a snapshot fails with its text.
// The others read and write those files, where nothing else can.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"log"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

type driver struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedControllerServer
	folder, name string
	size         int64

	mutex sync.Mutex
	// By the name that was asked for: CSI repeats requests and expects the same snapshot again.
	snapshots map[string]*csi.Snapshot
}

func main() {
	d := &driver{snapshots: map[string]*csi.Snapshot{}}
	flag.StringVar(&d.folder, "folder", "", "where its socket and files lie")
	flag.StringVar(&d.name, "driver", "", "the driver's name")
	flag.Int64Var(&d.size, "size", 0, "bytes that every snapshot is said to have")
	flag.Parse()
	if flag.NArg() > 0 {
		if err := control(d.folder, flag.Args()); err != nil {
			log.Fatal(err)
		}
		return
	}

	listener, err := net.Listen("unix", filepath.Join(d.folder, "csi.sock"))
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	csi.RegisterIdentityServer(server, d)
	csi.RegisterControllerServer(server, d)
	log.Fatal(server.Serve(listener))
}

func control(folder string, args []string) error {
	failure := filepath.Join(folder, "failure")
	switch {
	case args[0] == "snapshots":
		lines, err := os.ReadFile(filepath.Join(folder, "snapshots.jsonl"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		_, err = os.Stdout.Write(lines)
		return err
	case args[0] == "refuse" && len(args) == 2:
		return os.WriteFile(failure, []byte(args[1]), 0o600)
	case args[0] == "accept":
		return os.RemoveAll(failure)
	}
	return errors.New("not a command: " + args[0])
}

func (d *driver) GetPluginInfo(context.Context, *csi.GetPluginInfoRequest) (*csi.GetPluginInfoResponse, error) {
	return &csi.GetPluginInfoResponse{Name: d.name, VendorVersion: "double"}, nil
}

func (d *driver) GetPluginCapabilities(context.Context, *csi.GetPluginCapabilitiesRequest) (*csi.GetPluginCapabilitiesResponse, error) {
	service := &csi.PluginCapability_Service{Type: csi.PluginCapability_Service_CONTROLLER_SERVICE}
	return &csi.GetPluginCapabilitiesResponse{Capabilities: []*csi.PluginCapability{
		{Type: &csi.PluginCapability_Service_{Service: service}},
	}}, nil
}

func (d *driver) Probe(context.Context, *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	return &csi.ProbeResponse{}, nil
}

func (d *driver) ControllerGetCapabilities(context.Context, *csi.ControllerGetCapabilitiesRequest) (*csi.ControllerGetCapabilitiesResponse, error) {
	rpc := &csi.ControllerServiceCapability_RPC{Type: csi.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT}
	return &csi.ControllerGetCapabilitiesResponse{Capabilities: []*csi.ControllerServiceCapability{
		{Type: &csi.ControllerServiceCapability_Rpc{Rpc: rpc}},
	}}, nil
}

func (d *driver) CreateSnapshot(_ context.Context, request *csi.CreateSnapshotRequest) (*csi.CreateSnapshotResponse, error) {
	failure, err := os.ReadFile(filepath.Join(d.folder, "failure"))
	if err == nil {
		return nil, status.Error(codes.Internal, string(failure))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if made, ok := d.snapshots[request.Name]; ok {
		return &csi.CreateSnapshotResponse{Snapshot: made}, nil
	}
	made := &csi.Snapshot{
		SnapshotId:     request.Name,
		SourceVolumeId: request.SourceVolumeId,
		SizeBytes:      d.size,
		CreationTime:   timestamppb.Now(),
		ReadyToUse:     true,
	}
	if err := d.note(request); err != nil {
		return nil, err
	}
	d.snapshots[request.Name] = made
	return &csi.CreateSnapshotResponse{Snapshot: made}, nil
}

func (d *driver) DeleteSnapshot(_ context.Context, request *csi.DeleteSnapshotRequest) (*csi.DeleteSnapshotResponse, error) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	delete(d.snapshots, request.SnapshotId)
	return &csi.DeleteSnapshotResponse{}, nil
}

// Writes down what a snapshot was made of and with which parameters: those of its VolumeSnapshotClass.
func (d *driver) note(request *csi.CreateSnapshotRequest) error {
	line, err := json.Marshal(map[string]any{
		"name":       request.Name,
		"volume":     request.SourceVolumeId,
		"parameters": request.Parameters,
	})
	if err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(d.folder, "snapshots.jsonl"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(line, '\n'))
	return errors.Join(err, file.Close())
}
