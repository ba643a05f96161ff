// Judges Kubernetes objects as the tools of GitOps do, with their own libraries: `kstatus`, by which Flux and Helm wait, and
// the Lua scripts of Argo CD.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// verdict is what a tool says of one object.
type verdict struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	if err := judge(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// judge reads a JSON list of objects and writes a list of verdicts. Without an argument kstatus judges; an argument is the path
// of a health script of Argo CD.
func judge() error {
	var objects []json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return err
	}
	verdicts := make([]verdict, 0, len(objects))
	for _, object := range objects {
		one, err := judged(object)
		if err != nil {
			return err
		}
		verdicts = append(verdicts, one)
	}
	return json.NewEncoder(os.Stdout).Encode(verdicts)
}

func judged(sent []byte) (verdict, error) {
	// Reads whole numbers as such, as the API server's clients do.
	var object unstructured.Unstructured
	if err := object.UnmarshalJSON(sent); err != nil {
		return verdict{}, err
	}
	if len(os.Args) > 1 {
		return byArgo(os.Args[1], object.Object)
	}
	result, err := status.Compute(&object)
	if err != nil {
		return verdict{}, err
	}
	return verdict{Status: string(result.Status), Message: result.Message}, nil
}

// byArgo runs a script as Argo CD does: the object is the global `obj`, the answer a table with status and message. Argo CD
// opens only these libraries.
func byArgo(script string, object map[string]any) (verdict, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.BaseLibName:   lua.OpenBase,
		lua.TabLibName:    lua.OpenTable,
		lua.StringLibName: lua.OpenString,
	} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			return verdict{}, err
		}
	}
	state.SetGlobal("obj", asLua(state, object))
	if err := state.DoFile(script); err != nil {
		return verdict{}, err
	}
	answer, isTable := state.Get(-1).(*lua.LTable)
	if !isTable {
		return verdict{}, fmt.Errorf("%s returned no table", script)
	}
	return verdict{
		Status:  lua.LVAsString(answer.RawGetString("status")),
		Message: lua.LVAsString(answer.RawGetString("message")),
	}, nil
}

func asLua(state *lua.LState, value any) lua.LValue {
	switch one := value.(type) {
	case bool:
		return lua.LBool(one)
	case int64:
		return lua.LNumber(one)
	case float64:
		return lua.LNumber(one)
	case string:
		return lua.LString(one)
	case []any:
		table := state.NewTable()
		for _, each := range one {
			table.Append(asLua(state, each))
		}
		return table
	case map[string]any:
		table := state.NewTable()
		for key, each := range one {
			table.RawSetString(key, asLua(state, each))
		}
		return table
	}
	return lua.LNil
}
