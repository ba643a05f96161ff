//go:build tools

// Package tools pins the S3 gateway that stands in for a cloud's object store.
package tools

import _ "github.com/versity/versitygw/cmd/versitygw"
