"""YOLO, as Ultralytics reads it: `data.yaml`, pictures, and beside each a text of boxes or outlines in shares."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from playground.datasets.files import DataFiles, folder_of, join_paths, subset_named
from playground.datasets.formats import FoundSet, holds_part
from playground.datasets.labeled import Labeled, region_of, unusable
from playground.errors import SourceRejected
from playground.regions import Region

_MAX_YAML = 5_000_000  # bytes
_MAX_TRIED = 20
_PARTS = ("train", "val", "valid", "test")
_UNREADABLE = (SourceRejected, yaml.YAMLError, RecursionError, ValueError)
_NOTHING = ("", "~", "null", "Null", "NULL")  # in YAML
_ELSEWHERE = re.compile(r"/|[A-Za-z]:[\\/]")  # how a path begins that is no path within the data set


def find_yolo(files: DataFiles) -> FoundSet | None:
    """Return the data set, if a YAML file or `classes.txt` names its classes."""
    tried = list(files.ending(".yaml", ".yml"))[:_MAX_TRIED]
    if several := {path: settings for path in tried if (settings := _settings(files, path))}:
        path, *others = several
        names = _names(several[path]["names"])
        if other := next((one for one in others if _names(several[one]["names"]) != names), ""):
            raise SourceRejected(
                f"{path} and {other} name other classes. Give the one that is meant, or take the other out."
            )
        settings = several[path]
        return _found(_Yolo(files, path, names, _places(settings), has_points="kpt_shape" in settings))
    for path in files.ending("classes.txt"):
        is_apart = files.has_folder(join_paths(folder_of(path), "labels"))
        if is_apart or has_labels_beside(files, folder_of(path)):
            names = {number - 1: line for number, line in files.lines(path)}
            return _found(_Yolo(files, path, names, {"": ["images" if is_apart else "."]}))
    return None


def has_labels_beside(files: DataFiles, folder: str = "") -> bool:
    """Whether a picture in a folder has a text of its own, as labels are written where nothing else is."""
    return any(files.has(f"{path.rpartition('.')[0]}.txt") for path in files.pictures_in(folder))


def why_no_names(files: DataFiles) -> str:
    """Return what is missing where there are labels, as half a sentence."""
    path = next(files.ending(".yaml", ".yml"), "")
    if not path:
        return "no data.yaml and no classes.txt that names their classes"
    try:
        content = _content(files, path)
    except _UNREADABLE as error:
        return f"{path} cannot be read as YAML ({' '.join(str(error).split())[:200]})"
    is_named = isinstance(content, dict) and isinstance(content.get("names"), list | dict)
    return f"{path} has {'no train, val or test' if is_named else 'no list of their classes, names'}"


def _settings(files: DataFiles, path: str) -> dict[str, Any] | None:
    try:
        content = _content(files, path)
    except _UNREADABLE:
        return None
    if not isinstance(content, dict) or not isinstance(content.get("names"), list | dict):
        return None
    return content if any(key in content for key in _PARTS) else None


def _content(files: DataFiles, path: str) -> Any:
    """Return what is in a YAML file, all of it as texts: a class may be called `no`."""
    text = files.text(path)
    return yaml.load(text, Loader=yaml.BaseLoader) if len(text) <= _MAX_YAML else None


def _names(names: list[Any] | dict[Any, Any]) -> dict[int, str]:
    pairs = names.items() if isinstance(names, dict) else enumerate(names)
    named = ((number, name) for number, name in pairs if isinstance(name, str) and name.strip())
    return {int(number): name.strip()[:500] for number, name in named if str(number).isdecimal()}


def _places(settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return where the pictures of each part are, as the settings name it."""
    root, places = settings.get("path"), dict[str, list[str]]()
    for key in _PARTS:
        named = settings.get(key)
        for text in named if isinstance(named, list) else [named]:
            if isinstance(text, str) and text.strip() not in _NOTHING:
                whole = f"{root}/{text}" if isinstance(root, str) and root.strip() not in _NOTHING else text
                places.setdefault(subset_named(key), []).extend([whole, text] if whole != text else [text])
    return places


def _found(data: "_Yolo") -> FoundSet:
    return FoundSet("YOLO", tuple(data.names.values()), data.subsets, data.labeled)


class _Yolo:
    def __init__(
        self,
        files: DataFiles,
        path: str,
        names: dict[int, str],
        places: dict[str, list[str]],
        *,
        has_points: bool = False,
    ) -> None:
        self.names = names
        self._has_points = has_points  # after each box, of a skeleton
        self._files = files
        self._path = path
        self._missing: list[Labeled] = []
        self._folders: dict[str, str] = {}  # the part of each folder, or list of pictures
        for subset, named in places.items():
            found = list(dict.fromkeys(place for place in map(self._place, named) if place is not None))
            if not found:
                problem = f"{path} names {named[-1][:200]!r} for {subset}, which is not in the data set."
                self._missing.append(unusable(path, problem, subset=subset, said_by=path))
            for place in found:  # what was not divided names one folder for all parts
                self._folders[place] = "" if place in self._folders else subset
        self.subsets = tuple(dict.fromkeys(self._folders.values()))

    def labeled(self, wanted: str) -> Iterator[Labeled]:
        """Yield the pictures of a part; each belongs to the innermost folder that a part names."""
        yield from (one for one in self._missing if holds_part(one.subset, wanted))
        seen: set[str] = set()
        for place, subset in sorted(self._folders.items(), key=lambda pair: -pair[0].count("/")):
            if holds_part(subset, wanted):
                yield from self._without_picture(place, subset)
            for path in self._pictures_of(place):
                if path not in seen:
                    seen.add(path)
                    if holds_part(subset, wanted):
                        yield self._picture(path, subset)

    def _without_picture(self, place: str, subset: str) -> Iterator[Labeled]:
        """Yield what stands for the labels of pictures that are not in a folder."""
        before, folder, after = f"/{place}/".rpartition("/images/")
        if not folder:
            return
        labels = f"{before}/labels/{after}".lstrip("/")
        stems = {path.rpartition(".")[0] for path in self._files.pictures_in(place)}
        texts = [path for path in self._files.ending(".txt") if path.startswith(labels)]
        left = [path for path in texts if f"{place}/{path[len(labels) : -len('.txt')]}" not in stems]
        if left := [path for path in left if not path.endswith("classes.txt")]:
            problem = f"Labels of pictures that are not there: {len(left)}, such as {left[0][:200]}."
            yield unusable(labels, problem, subset=subset, said_by=labels)

    def _place(self, named: str) -> str | None:
        """Return the folder or list that the settings name, from their own folder or from the whole.

        Roboflow writes `../train/images` where it means `train/images`; of a place on another machine,
        `/content/cars/train/images`, the end that is here is meant.
        """
        path = named.replace("\\", "/")
        while path.startswith(("../", "./", "/")):
            path = path.partition("/")[2]
        is_elsewhere = bool(_ELSEWHERE.match(named))
        while path:
            for tried in (join_paths(folder_of(self._path), path), join_paths(path)):
                if self._files.has(tried) or self._files.has_folder(tried):
                    return tried
            path = path.partition("/")[2] if is_elsewhere else ""
        return None

    def _pictures_of(self, place: str) -> Iterator[str]:
        if not place.endswith(".txt"):
            yield from self._files.pictures_in(place)
            return
        for _, line in self._files.lines(place):
            source = self._files.find(line, (folder_of(place), folder_of(self._path)))
            yield join_paths(source.member or source.path) if source.problem else self._path_of(line, place)

    def _path_of(self, line: str, place: str) -> str:
        for folder in (folder_of(place), folder_of(self._path), ""):
            if self._files.has(path := join_paths(folder, line)):
                return path
        name = join_paths(line).rpartition("/")[2]
        return next((path for path in self._files.pictures_in("") if path.rpartition("/")[2] == name), line)

    def _picture(self, path: str, subset: str) -> Labeled:
        labels = self._labels_of(path)
        faults: list[str] = []
        regions = list(self._regions(labels, faults)) if labels else []
        source = self._files.source(path) if self._files.has(path) else self._files.find(path)
        labeled = Labeled(path, source, tuple(regions), (), None, subset, labels or path, (1.0, 1.0), (), tuple(faults))
        return labeled.checked()

    def _labels_of(self, path: str) -> str:
        """Return the file of a picture's labels; a picture without one shows nothing of any class."""
        stem = path.rpartition(".")[0]
        before, folder, after = f"/{stem}".rpartition("/images/")
        beside = f"{before}/labels/{after}".lstrip("/") if folder else stem
        return next((file for file in (f"{beside}.txt", f"{stem}.txt") if self._files.has(file)), "")

    def _regions(self, labels: str, faults: list[str]) -> Iterator[Region]:
        try:
            lines = list(self._files.lines(labels))
        except SourceRejected as error:
            faults.append(str(error))
            return
        for number, line in lines:
            try:
                class_id, *shares = map(float, line.split())
                label = self.names[int(class_id) if class_id.is_integer() else -1]
                region = _region(label, shares[:4] if self._has_points else shares)
            except KeyError:
                faults.append(
                    f"Line {number} of {labels} is of class {line.split()[0][:20]}, which {self._path} has not."
                )
                continue
            except (ValueError, OverflowError):
                region = None
            if region is None:
                faults.append(f"Line {number} of {labels} is no box and no outline, and was left out: {line[:60]!r}.")
            else:
                yield region


def _region(label: str, shares: list[float]) -> Region | None:
    """Return a box (center, width and height, and perhaps a score) or an outline. Raises ValueError."""
    if not all(abs(share) < 1e6 for share in shares):
        return None
    if len(shares) in (4, 5):
        x, y, width, height = shares[:4]
        return region_of(label, (x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    if len(shares) < 6 or len(shares) % 2:
        return None
    return region_of(label, None, [tuple(zip(shares[::2], shares[1::2], strict=True))])
