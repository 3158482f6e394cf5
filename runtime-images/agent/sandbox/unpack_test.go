package sandbox

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"
)

type entry struct {
	name    string
	mode    fs.FileMode
	content string
}

var modified = time.Date(2026, 11, 24, 12, 0, 2, 0, time.UTC)

func archive(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var buffer bytes.Buffer
	writer := zip.NewWriter(&buffer)
	for _, e := range entries {
		header := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: modified}
		header.SetMode(e.mode)
		out, err := writer.CreateHeader(header)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(e.name, "/") {
			_, _ = out.Write([]byte(e.content))
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

// unpack answers the tree as "path mode content" lines.
func unpack(t *testing.T, data []byte, bytesMax int64) (string, error) {
	t.Helper()
	parent := t.TempDir()
	folder := filepath.Join(parent, "tree")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := Unpack(bytes.NewReader(data), int64(len(data)), folder, bytesMax)
	var lines []string
	_ = filepath.WalkDir(parent, func(path string, d fs.DirEntry, _ error) error {
		name, _ := filepath.Rel(folder, path)
		info, _ := d.Info()
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			target, _ := os.Readlink(path)
			lines = append(lines, name+" -> "+target)
		case !d.IsDir():
			content, _ := os.ReadFile(path)
			lines = append(lines, fmt.Sprintf("%s %o %s", name, info.Mode().Perm(), content))
		case name != "." && name != "..":
			lines = append(lines, fmt.Sprintf("%s/ %o", name, info.Mode().Perm()))
		}
		return nil
	})
	return strings.Join(lines, "\n"), err
}

// farAway is the longest target that Linux takes.
var farAway = strings.Repeat("./", 2047) + "x"

func TestWhatIsUnpacked(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o022)) // takes nothing from what an entry says
	const link = fs.ModeSymlink | 0o777
	cases := []struct {
		name    string
		entries []entry
		want    string
	}{
		{"files and folders", []entry{{"a/", fs.ModeDir | 0o750, ""}, {"a/b/c", 0o755, "x"}, {"d", 0o604, "y"}}, "a/ 750\na/b/ 755\na/b/c 755 x\nd 604 y"},
		{"no permissions", []entry{{"a", 0, "x"}, {"b/", fs.ModeDir, ""}}, "a 644 x\nb/ 755"},
		{"all permissions", []entry{{"a", 0o666, "x"}, {"b/", fs.ModeDir | 0o777, ""}}, "a 666 x\nb/ 777"},
		{"a name of 255 bytes", []entry{{strings.Repeat("a", 255), 0o644, "x"}}, strings.Repeat("a", 255) + " 644 x"},
		{"a target of 4095 bytes", []entry{{"l", link, farAway}}, "l -> " + farAway},
		{"setuid", []entry{{"a", fs.ModeSetuid | 0o755, "x"}}, "a 755 x"},
		{"odd names", []entry{{"./a//b", 0o644, "x"}, {"..c", 0o644, "y"}}, "..c 644 y\na/ 755\na/b 644 x"},
		{"the later one counts", []entry{{"a", 0o644, "x"}, {"a", 0o755, "yy"}}, "a 755 yy"},
		{"links", []entry{{"a/l", link, "../b"}, {"b", 0o644, "x"}, {"m", link, "a/l"}, {"n", link, "nowhere"}}, "a/ 755\na/l -> ../b\nb 644 x\nm -> a/l\nn -> nowhere"},
		{"a file after a link", []entry{{"a", link, "b"}, {"a", 0o644, "x"}}, "a 644 x"},
		{"a link after a file", []entry{{"a", 0o644, "x"}, {"a", link, "b"}}, "a -> b"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got, err := unpack(t, archive(t, c.entries...), 1000); err != nil || got != c.want {
				t.Errorf("%v\n%s", err, got)
			}
		})
	}
}

func TestTheLongestPathIsTaken(t *testing.T) {
	if _, err := unpack(t, archive(t, entry{strings.Repeat("a/", 1919) + "bb", 0o644, "x"}), 1000); err != nil {
		t.Error(err)
	}
}

// Of a function and its layers together no more may be unpacked than Lambda allows, so each says what it took.
func TestTheBytesWrittenAreCounted(t *testing.T) {
	data := archive(t, entry{"a", 0o644, "four"}, entry{"b/", fs.ModeDir | 0o755, ""}, entry{"b/c", 0o644, "and six"})
	written, err := Unpack(bytes.NewReader(data), int64(len(data)), t.TempDir(), 1000)
	if err != nil || written != 11 {
		t.Error(written, err)
	}
}

func TestAFileKeepsItsTime(t *testing.T) {
	folder := t.TempDir()
	data := archive(t, entry{"a", 0o644, "x"})
	if _, err := Unpack(bytes.NewReader(data), int64(len(data)), folder, 1000); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(folder, "a")); err != nil || !info.ModTime().Equal(modified) {
		t.Error(info, err)
	}
}

// Linux follows 40 links and no more.
func TestALongChainOfLinks(t *testing.T) {
	const link = fs.ModeSymlink | 0o777
	chain := []entry{{"0", 0o644, "found"}}
	for n := 1; n <= 40; n++ {
		chain = append(chain, entry{fmt.Sprint(n), link, fmt.Sprint(n - 1)})
	}
	folder := t.TempDir()
	data := archive(t, chain...)
	if _, err := Unpack(bytes.NewReader(data), int64(len(data)), folder, 1000); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(folder, "40")); string(text) != "found" {
		t.Error(err)
	}
	if _, err := unpack(t, archive(t, append(chain, entry{"41", link, "40"})...), 1000); err == nil {
		t.Error("a chain that can't be followed is taken")
	}
}

func TestNoFileStaysOpen(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would close what was forgotten
	open := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("no /proc on this system")
		}
		return len(names)
	}
	data := archive(t, entry{"a", 0o644, "x"}, entry{"b", 0o644, "y"}, entry{"c", 0o644, "z"})
	before := open()
	if _, err := unpack(t, data, 1000); err != nil {
		t.Fatal(err)
	}
	if after := open(); after != before {
		t.Errorf("%d files were open before, %d are after", before, after)
	}
}

type unreadable struct{}

func (unreadable) ReadAt([]byte, int64) (int, error) { return 0, syscall.EIO }

// A full disk or a missing folder is said as it is, and not told to whoever made the package.
func TestAnErrorOfTheMachineIsNotThePackages(t *testing.T) {
	machine := func(name, folder string, e entry) {
		t.Helper()
		data := archive(t, e)
		_, err := Unpack(bytes.NewReader(data), int64(len(data)), folder, 1<<20)
		var invalid *InvalidPackage
		if err == nil || errors.As(err, &invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Unpack(unreadable{}, 1000, t.TempDir(), 1000); !errors.Is(err, syscall.EIO) {
		t.Error("an archive that can't be read:", err)
	}
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	machine("a file", nowhere, entry{"a", 0o644, "x"})
	machine("a link", nowhere, entry{"a", fs.ModeSymlink | 0o777, "b"})
	machine("a folder", "/proc/nowhere", entry{"a/", fs.ModeDir | 0o755, ""})

	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 100, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	machine("a file that the disk doesn't take", t.TempDir(), entry{"a", 0o644, strings.Repeat("x", 1000)})
}

func TestTheLimitItselfIsAllowed(t *testing.T) {
	data := archive(t, entry{"a", 0o644, strings.Repeat("x", 400)}, entry{"b", 0o644, strings.Repeat("x", 600)})
	if _, err := unpack(t, data, 1000); err != nil {
		t.Error(err)
	}
}

func TestWhatIsRefused(t *testing.T) {
	const link = fs.ModeSymlink | 0o777
	cases := []struct {
		name, why string
		entries   []entry
	}{
		{"slip", `"../a" has a path with ..`, []entry{{"../a", 0o644, ""}}},
		{"slip inside", `"a/../../b" has a path with ..`, []entry{{"a/../../b", 0o644, ""}}},
		{"absolute", `"/a" has an absolute path`, []entry{{"/a", 0o644, ""}}},
		{"long name", "has a name of more than 255 bytes", []entry{{strings.Repeat("a", 256), 0o644, ""}}},
		{"long path", "has a path of more than 3840 bytes", []entry{{strings.Repeat("a/", 1920) + "b", 0o644, ""}}},
		{"no name", "has no usable name", []entry{{"", 0o644, ""}}},
		{"a name with a NUL", "has no usable name", []entry{{"a\x00b", 0o644, ""}}},
		{"a name that begins with a NUL", "has no usable name", []entry{{"\x00", 0o644, ""}}},
		{"device", "is neither a file nor", []entry{{"a", fs.ModeDevice | 0o644, ""}}},
		{"pipe", "is neither a file nor", []entry{{"a", fs.ModeNamedPipe | 0o644, ""}}},
		{"absolute link", "leaves the package (/etc)", []entry{{"a", link, "/etc"}}},
		{"link up", "leaves the package (..)", []entry{{"a", link, ".."}}},
		{"link up from below", "leaves the package (../../x)", []entry{{"a/b", link, "../../x"}}},
		{"links that leave together", "leaves the package", []entry{{"d/e/l", link, "../.."}, {"m", link, "d/e/l/../x"}}},
		{"links in a circle", "leaves the package", []entry{{"a", link, "b"}, {"b", link, "a"}}},
		{"an empty link", "without a usable target", []entry{{"a", link, ""}}},
		{"a link to a NUL", "without a usable target", []entry{{"a", link, "\x00"}}},
		{"a link to a name with a NUL", "without a usable target", []entry{{"a", link, "b\x00c"}}},
		{"a link to a name that Linux doesn't take", "without a usable target", []entry{{"a", link, farAway + "y"}}},
		{"a file below a file", "is a file and a folder at once", []entry{{"a", 0o644, ""}, {"a/b", 0o644, ""}}},
		{"a folder below a file", "is a file and a folder at once", []entry{{"a", 0o644, ""}, {"a/b/", fs.ModeDir | 0o755, ""}}},
		{"a link below a file", "is a file and a folder at once", []entry{{"a", 0o644, ""}, {"a/b", link, "c"}}},
		{"a file in place of an empty folder", "is a file and a folder at once", []entry{{"a/", fs.ModeDir | 0o755, ""}, {"a", 0o644, ""}}},
		{"a link in place of a folder of links", "is a symbolic link and a folder at once", []entry{{"d/l", link, "x"}, {"d", link, "."}}},
		{"a file in place of a folder", "is a file and a folder at once", []entry{{"a/b", 0o644, ""}, {"a", 0o644, ""}}},
		{"a file below a link", "is a symbolic link and a folder at once", []entry{{"a", link, "b"}, {"a/x", 0o644, ""}}},
		{"too much", `"b" makes the unzipped size larger than 1000 bytes`, []entry{{"a", 0o644, strings.Repeat("x", 600)}, {"b", 0o644, strings.Repeat("x", 401)}}},
		{"too much by doubling", `"a" makes the unzipped size`, []entry{{"a", 0o644, strings.Repeat("x", 600)}, {"a", 0o644, strings.Repeat("x", 600)}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tree, err := unpack(t, archive(t, c.entries...), 1000)
			var invalid *InvalidPackage
			if !errors.As(err, &invalid) || !strings.Contains(err.Error(), c.why) {
				t.Errorf("%v\n%s", err, tree)
			}
			if strings.Contains(tree, "../") {
				t.Errorf("written outside: %s", tree)
			}
		})
	}
}

// What AWS allows: 250 MB, by which it means MiB.
func TestTheLimitIsLambdas(t *testing.T) {
	if UnzippedBytesMax != 250<<20 {
		t.Error(UnzippedBytesMax)
	}
}

func TestHeadersThatLie(t *testing.T) {
	whole := archive(t, entry{"a", 0o644, strings.Repeat("x", 5000)})
	central := bytes.LastIndex(whole, []byte(centralSignature))
	small := bytes.Clone(whole)
	binary.LittleEndian.PutUint32(small[central+24:], 10) // the size it claims to have
	if _, err := unpack(t, small, 1000); err == nil || !strings.Contains(err.Error(), `"a"`) {
		t.Error("a size that lies:", err)
	}
	broken := bytes.Clone(whole)
	broken[central+16] ^= 1 // CRC-32
	if _, err := unpack(t, broken, 100_000); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Error("a wrong checksum:", err)
	}
	for _, mode := range []fs.FileMode{0o644, fs.ModeSymlink | 0o777} {
		odd := archive(t, entry{"a", mode, "b"})
		odd[bytes.LastIndex(odd, []byte(centralSignature))+10] = 99 // how it was compressed
		if _, err := unpack(t, odd, 1000); err == nil || !strings.Contains(err.Error(), `"a" can't be read`) {
			t.Error("a compression that nobody knows:", err)
		}
	}
	for _, data := range [][]byte{nil, []byte("PK"), whole[:len(whole)/2]} {
		if _, err := unpack(t, data, 1000); err == nil {
			t.Errorf("%.10q is taken", data)
		}
	}
	for before := range 4 { // wherever the buffer ends
		many := append(make([]byte, before), bytes.Repeat([]byte(centralSignature), EntriesMax+1)...)
		if _, err := unpack(t, many, 1000); err == nil || !strings.Contains(err.Error(), "more than 100000 entries") {
			t.Error("too many entries:", err)
		}
		if _, err := unpack(t, many[:len(many)-1], 1000); err == nil || strings.Contains(err.Error(), "entries") {
			t.Error("as many entries as there may be:", err)
		}
	}
}

func TestTreesAreWholeOrAbsent(t *testing.T) {
	trees := Trees{Folder: t.TempDir(), Owner: "me"}
	data := archive(t, entry{"a", 0o644, "x"})
	file := filepath.Join(t.TempDir(), "package")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	digest := hex.EncodeToString(sum[:])
	add := func(digest string, max int64) error {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		_, err = trees.Add(digest, f, max)
		return err
	}
	if err := add(strings.Repeat("0", 64), 100); err == nil || !strings.Contains(err.Error(), digest) {
		t.Error("a wrong digest:", err)
	}
	if err := add(digest, 0); err == nil {
		t.Error("too large is taken")
	}
	if left, _ := os.ReadDir(trees.Folder); len(left) != 0 || trees.Has(digest) {
		t.Error("something is left:", left)
	}
	for range 2 { // another agent may have been faster
		if err := add(digest, 100); err != nil || !trees.Has(digest) {
			t.Error(err)
		}
	}
	if left, _ := os.ReadDir(trees.Folder); len(left) != 1 {
		t.Error("something is left:", left)
	}
}

func TestArrangeMergesTrees(t *testing.T) {
	first, secondTree, root := t.TempDir(), t.TempDir(), t.TempDir()
	for path, text := range map[string]string{first + "/a": "1", first + "/d/b": "1", secondTree + "/a": "2", secondTree + "/d/c": "2"} {
		_ = os.MkdirAll(filepath.Dir(path), 0o755)
		_ = os.WriteFile(path, []byte(text), 0o644)
	}
	places, err := Arrange(root, "/runtime", first, []string{first, secondTree}, Own)
	if err != nil || places != (Places{root + "/task", root + "/opt", "/runtime", root + "/tmp"}) {
		t.Fatal(places, err)
	}
	for path, want := range map[string]string{"opt/a": "2", "opt/d/b": "1", "opt/d/c": "2", "task/a": "1"} {
		if got, _ := os.ReadFile(filepath.Join(root, path)); string(got) != want {
			t.Errorf("%s is %q", path, got)
		}
	}
}

func TestTranslate(t *testing.T) {
	places := Places{Task: "/e/task", Opt: "/e/opt", Runtime: "/r", Tmp: "/e/tmp"}
	if got := places.Translate("/var/runtime:/var/task/lib:/opt:/optional:/bin"); got != "/r:/e/task/lib:/e/opt:/optional:/bin" {
		t.Error(got)
	}
	if got := Lambda.Translate("/var/task:/opt"); got != "/var/task:/opt" {
		t.Error(got)
	}
}
