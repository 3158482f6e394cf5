// Package install puts the agent's own program where another container can start it: a function's image has no agent in it, and perhaps
// no shell that could copy one.
package install

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// Name is what the program is called in the folder.
const Name = "lambent-agent"

// Into copies the running program into a folder, whole or not at all; everybody may run it there.
func Into(folder string) error {
	source, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer source.Close()
	fresh, err := os.CreateTemp(folder, "."+Name)
	if err != nil {
		return err
	}
	defer os.Remove(fresh.Name())
	_, err = io.Copy(fresh, source)
	if err = errors.Join(err, fresh.Chmod(0o755), fresh.Close()); err != nil {
		return err
	}
	return os.Rename(fresh.Name(), filepath.Join(folder, Name))
}
