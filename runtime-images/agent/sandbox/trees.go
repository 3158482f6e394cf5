package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Trees is a folder of unpacked packages by digest, shared by all agents of a machine.
type Trees struct {
	Folder string
	// Owner makes the names of unfinished trees this agent's own.
	Owner string
}

// Path is where a package's tree is once it is there.
func (t Trees) Path(digest string) string { return filepath.Join(t.Folder, digest) }

// Has says whether a package is unpacked already.
func (t Trees) Has(digest string) bool {
	info, err := os.Stat(t.Path(digest))
	return err == nil && info.IsDir()
}

// Add checks a package against its digest and unpacks it. Another agent may do the same at the same time. It answers the bytes written.
func (t Trees) Add(digest string, archive *os.File, bytesMax int64) (int64, error) {
	size, err := check(digest, archive)
	if err != nil {
		return 0, err
	}
	unfinished := filepath.Join(t.Folder, fmt.Sprintf(".%s.%s", digest, t.Owner))
	if err := os.RemoveAll(unfinished); err != nil {
		return 0, err
	}
	if err := os.MkdirAll(unfinished, 0o755); err != nil {
		return 0, err
	}
	defer os.RemoveAll(unfinished)
	written, err := Unpack(archive, size, unfinished, bytesMax)
	if err != nil {
		return 0, err
	}
	if err := os.Rename(unfinished, t.Path(digest)); err != nil && !t.Has(digest) {
		return 0, err
	}
	return written, nil
}

func check(digest string, archive *os.File) (int64, error) {
	hash := sha256.New()
	size, err := io.Copy(hash, archive)
	if err != nil {
		return 0, err
	}
	if found := hex.EncodeToString(hash.Sum(nil)); found != digest {
		return 0, &InvalidPackage{"", fmt.Sprintf("its SHA-256 is %s, not %s", found, digest)}
	}
	return size, nil
}
