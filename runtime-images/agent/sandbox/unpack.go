// Package sandbox puts a function's code in its place: unpacks packages safely, keeps their trees, binds them where Lambda has them.
//
//	U1  nothing is written outside the tree, whatever the archive's names and links say
//	U2  no more than UnzippedBytesMax is written for a function, its layers included, whatever the archives' headers say
//	U3  a tree is there whole or not at all
package sandbox

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	// UnzippedBytesMax is Lambda's limit of a function's code and layers unzipped ("Lambda quotas").
	UnzippedBytesMax = 262_144_000
	// EntriesMax bounds the agent's own memory: ten times what the largest packages in use hold.
	EntriesMax = 100_000
	// linkTargetMax is Linux's PATH_MAX without its NUL.
	linkTargetMax = 4095
	// pathMax leaves a quarter of a KiB of that to the folder that the tree is in.
	pathMax          = 3840
	bufferBytes      = 64 << 10
	centralSignature = "PK\x01\x02"
)

// InvalidPackage says what is wrong with an archive, and with which of its entries.
type InvalidPackage struct {
	Entry string
	Why   string
}

func (e *InvalidPackage) Error() string {
	if e.Entry == "" {
		return "invalid ZIP file: " + e.Why
	}
	return fmt.Sprintf("invalid ZIP file: entry %q %s", e.Entry, e.Why)
}

// Unpack writes an archive's files below an empty folder. It answers the bytes written. Its error is an InvalidPackage, or the machine's.
func Unpack(archive io.ReaderAt, size int64, folder string, bytesMax int64) (int64, error) {
	if err := countEntries(io.NewSectionReader(archive, 0, size)); err != nil {
		return 0, err
	}
	reader, err := zip.NewReader(archive, size)
	if err != nil && err != zip.ErrInsecurePath {
		return 0, &InvalidPackage{"", err.Error()}
	}
	u := unpacking{folder: folder, left: bytesMax, max: bytesMax, buffer: make([]byte, bufferBytes), made: ".", links: map[string]string{}}
	for _, file := range reader.File {
		if err := u.entry(file); err != nil {
			return 0, err
		}
	}
	return bytesMax - u.left, u.makeLinks()
}

// countEntries bounds the table of contents before it is read into memory: its own count may lie.
func countEntries(archive io.Reader) error {
	buffer := make([]byte, bufferBytes)
	count, kept := 0, 0
	for {
		n, err := archive.Read(buffer[kept:])
		text := buffer[:kept+n]
		count += bytes.Count(text, []byte(centralSignature))
		kept = copy(buffer, text[max(0, len(text)-len(centralSignature)+1):])
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if count > EntriesMax {
		return &InvalidPackage{"", fmt.Sprintf("it has more than %d entries", EntriesMax)}
	}
	return nil
}

type unpacking struct {
	folder string
	left   int64
	max    int64
	buffer []byte
	made   string            // the folder that was made last
	links  map[string]string // made at the very end, so that nothing is ever written through one
}

func (u *unpacking) entry(file *zip.File) error {
	name, err := cleanName(file.Name)
	if err != nil {
		return err
	}
	mode := file.Mode()
	delete(u.links, name) // a later entry of the same name counts
	switch {
	case mode.IsDir():
		return u.folderEntry(file, name)
	case mode&fs.ModeSymlink != 0:
		return u.linkEntry(file, name)
	case mode.IsRegular():
		return u.fileEntry(file, name)
	default:
		return &InvalidPackage{file.Name, "is neither a file nor a folder nor a symbolic link"}
	}
}

func (u *unpacking) folderEntry(file *zip.File, name string) error {
	if err := u.makeFolder(file.Name, name); err != nil {
		return err
	}
	return os.Chmod(filepath.Join(u.folder, name), permissions(file.Mode(), 0o755)|0o700)
}

func (u *unpacking) fileEntry(file *zip.File, name string) error {
	if err := u.makeFolder(file.Name, path.Dir(name)); err != nil {
		return err
	}
	source, err := file.Open()
	if err != nil {
		return &InvalidPackage{file.Name, "can't be read: " + err.Error()}
	}
	defer source.Close()
	target := filepath.Join(u.folder, name)
	_ = syscall.Unlink(target) // a later entry of the same name counts; a folder stays and is refused below
	mode := permissions(file.Mode(), 0o644) | 0o400
	out, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if os.IsExist(err) {
		return &InvalidPackage{file.Name, "is a file and a folder at once"}
	} else if err != nil {
		return err
	}
	defer out.Close()
	if err := u.copy(out, source, file); err != nil {
		return err
	}
	_ = os.Chtimes(target, file.Modified, file.Modified)
	return out.Chmod(mode) // the umask took some
}

func (u *unpacking) copy(out *os.File, source io.Reader, file *zip.File) error {
	for {
		n, err := source.Read(u.buffer)
		if u.left -= int64(n); u.left < 0 {
			return &InvalidPackage{file.Name, fmt.Sprintf("makes the unzipped size larger than %d bytes", u.max)}
		}
		if _, failed := out.Write(u.buffer[:n]); failed != nil {
			return failed
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return &InvalidPackage{file.Name, "can't be read: " + err.Error()}
		}
	}
}

func (u *unpacking) linkEntry(file *zip.File, name string) error {
	if err := u.makeFolder(file.Name, path.Dir(name)); err != nil {
		return err
	}
	source, err := file.Open()
	if err != nil {
		return &InvalidPackage{file.Name, "can't be read: " + err.Error()}
	}
	defer source.Close()
	target, err := io.ReadAll(io.LimitReader(source, linkTargetMax+1))
	if err != nil || len(target) == 0 || len(target) > linkTargetMax || bytes.IndexByte(target, 0) >= 0 {
		return &InvalidPackage{file.Name, "is a symbolic link without a usable target"}
	}
	_ = syscall.Unlink(filepath.Join(u.folder, name)) // a folder stays and is refused when links are made
	u.links[name] = string(target)
	return nil
}

// makeLinks makes the symbolic links, after all of them together have been found to stay inside.
func (u *unpacking) makeLinks() error {
	for name := range u.links {
		if !staysInside(u.links, name) {
			return &InvalidPackage{name, fmt.Sprintf("is a symbolic link that leaves the package (%s)", u.links[name])}
		}
	}
	for name, target := range u.links {
		if err := os.Symlink(target, filepath.Join(u.folder, name)); os.IsExist(err) {
			return &InvalidPackage{name, "is a symbolic link and a folder at once"}
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (u *unpacking) makeFolder(entry, name string) error {
	if name == u.made {
		return nil
	}
	err := os.MkdirAll(filepath.Join(u.folder, name), 0o755)
	if errors.Is(err, syscall.ENOTDIR) {
		return &InvalidPackage{entry, "is a file and a folder at once"}
	}
	u.made = name
	return err
}

// cleanName is an entry's name as a relative path without "." and "..".
func cleanName(name string) (string, error) {
	switch {
	case name == "" || strings.IndexByte(name, 0) >= 0:
		return "", &InvalidPackage{name, "has no usable name"}
	case strings.HasPrefix(name, "/"):
		return "", &InvalidPackage{name, "has an absolute path"}
	case len(name) > pathMax:
		return "", &InvalidPackage{name, fmt.Sprintf("has a path of more than %d bytes", pathMax)}
	}
	for _, part := range strings.Split(name, "/") {
		if part == ".." {
			return "", &InvalidPackage{name, "has a path with .. in it"}
		}
		if len(part) > 255 {
			return "", &InvalidPackage{name, "has a name of more than 255 bytes"}
		}
	}
	return path.Clean(name), nil
}

// staysInside follows a link through all links that the archive makes, as the kernel would, and says whether it never goes above the root.
func staysInside(links map[string]string, name string) bool {
	if strings.HasPrefix(links[name], "/") {
		return false
	}
	rest := []string{links[name]}
	at := path.Dir(name)
	for followed := 1; len(rest) > 0; {
		part, more, cut := strings.Cut(rest[len(rest)-1], "/")
		if cut {
			rest[len(rest)-1] = more
		} else {
			rest = rest[:len(rest)-1]
		}
		if part == ".." {
			if at == "." {
				return false
			}
			at = path.Dir(at)
			continue
		}
		at = path.Join(at, part)
		if target, isLink := links[at]; isLink {
			if followed++; followed > 40 || strings.HasPrefix(target, "/") {
				return false
			}
			at = path.Dir(at)
			rest = append(rest, target)
		}
	}
	return true
}

// permissions are an entry's permission bits. Archives made without any (on Windows, or by hand) get the usual ones.
func permissions(mode fs.FileMode, usual fs.FileMode) fs.FileMode {
	if mode.Perm() == 0 {
		return usual
	}
	return mode.Perm()
}
