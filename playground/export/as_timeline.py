"""How many things of each name there are at each moment of a video, as a plot."""

from collections import Counter
from typing import IO, BinaryIO

from playground.drawing import colors_of
from playground.export.annotated import CheckedPictures
from playground.export.films import Film, write_films
from playground.export.format import Format, Holds

_MOST_NAMES = 10  # in one plot; as many again nobody can tell apart
_SIZE = (11.0, 5.0)  # inches
_DPI = 120


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    write_films(pictures, stream, f"{TIMELINE.suffix}.png", _plot)


def _plot(film: Film, stream: IO[bytes]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # takes a moment, which no other format needs
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    times, counts, tracks = _counted(film)
    names = [name for name, _ in sorted(tracks.items(), key=lambda row: (-len(row[1]), row[0]))]
    figure = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    colors = colors_of(tracks)
    for name in names[:_MOST_NAMES]:
        title = f"{name[:40] or 'region'} ({len(tracks[name])} in all)"
        numbers = [count[name] for count in counts]
        axes.step(times, numbers, where="post", color=colors[name], label=title, linewidth=1.8)
    axes.set_title(film.name[:100], parse_math=False)
    axes.set_xlabel("time")
    axes.set_ylabel("at the same time")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: _clock(seconds)))
    axes.grid(alpha=0.3)
    if names:
        more = f"{len(names) - _MOST_NAMES} more names" if len(names) > _MOST_NAMES else None
        for text in axes.legend(title=more, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False).get_texts():
            text.set_parse_math(False)
    else:
        axes.text(0.5, 0.5, "Nothing was found.", ha="center", transform=axes.transAxes)
    figure.savefig(stream, format="png", metadata={"Software": None})


def _counted(film: Film) -> tuple[list[float], list[Counter[str]], dict[str, set[int]]]:
    """Return when frames are shown, how many regions of each name they have, and which tracks each name has."""
    times, counts, tracks = list[float](), list[Counter[str]](), dict[str, set[int]]()
    for frame in film.frames:
        times.append(frame.place.seconds)
        counts.append(Counter(region.label for region in frame.picture.prediction.regions))
        for region in frame.picture.prediction.regions:
            tracks.setdefault(region.label, set()).add(region.track or 0)
    return times, counts, tracks


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:04.1f}" if rest % 1 else f"{int(minutes)}:{int(rest):02}"


TIMELINE = Format(
    "timeline", "Counts over time (PNG)", "png", "zip", _write,
    "It is a picture: numbers are in the table of tracks. A name that a thing had in one frame alone counts it too.",
    suffix="-timeline",
    has_pixels=False,
    holds=Holds.FRAMES,
    is_film=True,
)  # fmt: skip
