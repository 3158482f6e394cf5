package sandbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Places are the folders of an environment under the paths that the function sees.
type Places struct {
	Task    string
	Opt     string
	Runtime string
	Tmp     string
}

// Lambda is where AWS has them.
var Lambda = Places{Task: "/var/task", Opt: "/opt", Runtime: "/var/runtime", Tmp: "/tmp"}

// Kind is how the places come to be where functions look for them.
type Kind uint8

const (
	// Own folders stand in for Lambda's; variables name them.
	Own Kind = iota
	// Bound onto Lambda's paths by the agent, in a mount namespace of its own.
	Bound
	// Mounted on Lambda's paths by whoever started the agent: `task` and `opt` of its root are /var/task and /opt, and /tmp is ready.
	Mounted
	// Image is a container image's own: it brings the code, and nothing is put anywhere.
	Image
)

// ParseKind reads what LAMBENT_PLACES says; nothing means own.
func ParseKind(text string) (Kind, error) {
	kinds := map[string]Kind{"": Own, "own": Own, "bound": Bound, "mounted": Mounted, "image": Image}
	kind, known := kinds[text]
	if !known {
		return Own, fmt.Errorf("%q, not own, bound, mounted or image", text)
	}
	return kind, nil
}

// Arrange puts unpacked trees in their places below an environment's own folder: one for the task, any number for /opt, later
// ones over earlier ones.
func Arrange(root, runtimeFolder, task string, opts []string, kind Kind) (Places, error) {
	if kind == Image {
		return Lambda, nil
	}
	own := Places{filepath.Join(root, "task"), filepath.Join(root, "opt"), runtimeFolder, filepath.Join(root, "tmp")}
	if kind != Mounted {
		if err := makeTmp(own.Tmp); err != nil {
			return own, err
		}
	}
	var tasks []string
	if task != "" {
		tasks = []string{task}
	}
	if err := place(own.Task, tasks, kind == Bound); err != nil {
		return own, err
	}
	if err := place(own.Opt, opts, kind == Bound); err != nil {
		return own, err
	}
	switch kind {
	case Own:
		return own, nil
	case Bound:
		return Lambda, own.bind()
	default:
		return Lambda, nil
	}
}

// Beside are the places of a further environment on the code that is below another's folder. Only /tmp is its own.
func Beside(code, runtimeFolder, tmp string, kind Kind) (Places, error) {
	places := Lambda
	if kind == Own {
		places = Places{Task: filepath.Join(code, "task"), Opt: filepath.Join(code, "opt"), Runtime: runtimeFolder}
	}
	places.Tmp = tmp
	return places, makeTmp(tmp)
}

func makeTmp(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	return os.Chmod(folder, 0o1777)
}

// place makes a folder of one tree, several merged, or none. One that is bound read-only may be the tree itself: where it can be
// written to, new files must not get into what others share.
func place(target string, trees []string, bound bool) error {
	if len(trees) == 0 {
		return os.MkdirAll(target, 0o755)
	}
	if len(trees) == 1 && bound {
		return os.Symlink(trees[0], target)
	}
	for _, tree := range trees {
		if err := overlay(tree, target); err != nil {
			return err
		}
	}
	return nil
}

// overlay copies a tree over another, files as hard links where that is possible.
func overlay(tree, target string) error {
	return filepath.WalkDir(tree, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(tree, path)
		if err != nil {
			return err
		}
		to := filepath.Join(target, relative)
		if entry.IsDir() {
			if info, err := os.Lstat(to); err == nil && !info.IsDir() {
				_ = os.Remove(to)
			}
			return os.MkdirAll(to, 0o755)
		}
		if err := os.RemoveAll(to); err != nil {
			return err
		}
		if entry.Type()&fs.ModeSymlink != 0 {
			goal, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(goal, to)
		}
		if os.Link(path, to) == nil {
			return nil
		}
		return copyFile(path, to)
	})
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// bind mounts the folders on Lambda's paths, /tmp last: the others may lie below it.
func (p Places) bind() error {
	const readOnly = true
	mounts := []struct {
		from, to string
		readOnly bool
	}{
		{p.Task, Lambda.Task, readOnly},
		{p.Opt, Lambda.Opt, readOnly},
		{p.Tmp, Lambda.Tmp, !readOnly},
	}
	for i := range mounts {
		// A folder below /opt, say, must be found before /opt is hidden.
		fd, err := syscall.Open(mounts[i].from, syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
		if err != nil {
			return &os.PathError{Op: "open", Path: mounts[i].from, Err: err}
		}
		defer syscall.Close(fd)
		mounts[i].from = fmt.Sprintf("/proc/self/fd/%d", fd)
	}
	for _, m := range mounts {
		if err := os.MkdirAll(m.to, 0o755); err != nil {
			return err
		}
		if err := bindOne(m.from, m.to, m.readOnly); err != nil {
			return err
		}
	}
	return nil
}

// BindRuntime mounts the image's folder on its path, before anything is started: a pre-started runtime already lives there.
func BindRuntime(folder string) error {
	if err := os.MkdirAll(Lambda.Runtime, 0o755); err != nil {
		return err
	}
	return bindOne(folder, Lambda.Runtime, true)
}

func bindOne(from, to string, readOnly bool) error {
	if err := syscall.Mount(from, to, "", syscall.MS_BIND, ""); err != nil {
		return &os.PathError{Op: "mount on", Path: to, Err: err}
	}
	flags := uintptr(syscall.MS_REMOUNT | syscall.MS_BIND | syscall.MS_NOSUID | syscall.MS_NODEV)
	if readOnly {
		flags |= syscall.MS_RDONLY
	}
	if err := syscall.Mount("", to, "", flags, ""); err != nil {
		return &os.PathError{Op: "remount", Path: to, Err: err}
	}
	return nil
}

// CheckNamespace refuses mounts in a namespace that is the parent's too: they would change the whole machine.
func CheckNamespace() error {
	own, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return err
	}
	parents, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", os.Getppid()))
	if err == nil && own == parents {
		return errors.New("LAMBENT_PLACES=bound needs a mount namespace of the agent's own: start it with `unshare --mount --propagation private`")
	}
	return nil
}

// Translate is a value of an environment variable such as PATH with Lambda's folders replaced by these.
func (p Places) Translate(value string) string {
	if p == Lambda || !strings.Contains(value, "/") {
		return value
	}
	parts := strings.Split(value, ":")
	for i, part := range parts {
		parts[i] = p.Real(part)
	}
	return strings.Join(parts, ":")
}

// Real is where a path below one of Lambda's folders is.
func (p Places) Real(path string) string {
	for _, pair := range [][2]string{{Lambda.Task, p.Task}, {Lambda.Opt, p.Opt}, {Lambda.Runtime, p.Runtime}} {
		if rest, found := strings.CutPrefix(path, pair[0]); found && (rest == "" || rest[0] == '/') && pair[1] != "" {
			return pair[1] + rest
		}
	}
	return path
}
