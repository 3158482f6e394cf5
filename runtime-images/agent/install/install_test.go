package install

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestTheProgramItselfIsThereAndCanBeRunByEverybody(t *testing.T) {
	folder := t.TempDir()
	for range 2 { // a container that is started again finds the earlier one
		if err := Into(folder); err != nil {
			t.Fatal(err)
		}
	}
	own, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	there, err := os.ReadFile(filepath.Join(folder, Name))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(own, there) {
		t.Fatalf("%d bytes are there of %d", len(there), len(own))
	}
	info, err := os.Stat(filepath.Join(folder, Name))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o755 {
		t.Fatalf("mode %o", info.Mode().Perm())
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 1 {
		t.Fatalf("left behind: %v, %v", entries, err)
	}
}

func TestAFolderThatIsNotThereIsNamed(t *testing.T) {
	if err := Into("/nonexistent"); err == nil || !bytes.Contains([]byte(err.Error()), []byte("/nonexistent")) {
		t.Fatalf("error %v", err)
	}
}
