package sandbox

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// JoinCgroups moves this process, and so all it will start, into cgroups.
func JoinCgroups(folders []string) error {
	for _, folder := range folders {
		if err := os.WriteFile(filepath.Join(folder, "cgroup.procs"), []byte("0"), 0); err != nil {
			return err
		}
	}
	return nil
}

// MemoryLimit is that of the cgroups that were joined, or where none were, of the container's own; bytes, 0 if there is none.
func MemoryLimit(folders []string) int64 {
	if len(folders) == 0 {
		folders = []string{"/sys/fs/cgroup", "/sys/fs/cgroup/memory"}
	}
	for _, folder := range folders {
		for _, name := range []string{"memory.max", "memory.limit_in_bytes"} {
			text, err := os.ReadFile(filepath.Join(folder, name))
			if err != nil {
				continue
			}
			limit, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // "max" is none
			return limit
		}
	}
	return 0
}
