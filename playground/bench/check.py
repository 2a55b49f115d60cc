"""Whether a precision keeps the answers: the bounds that it must hold before it is chosen by default."""

from pathlib import Path

import torch

from playground.bench import paths
from playground.bench.skeleton import skeleton
from playground.checkpoints import catalog, loader
from playground.checkpoints.loader import LoadedCheckpoint
from playground.evaluation.on_scenes import measure_on_scenes
from playground.inference.engine import Engine
from playground.inference.prepared import PreparedModel, prepare
from playground.one_engine import OneEngine
from playground.predictor import Predictor
from playground.tasks import get_task

MAX_LOSS_OF_MAP = 0.005
MIN_AGREEMENT = 0.99
MAX_LOGIT_ERROR = 0.02

_PICTURES, _TASKS = 4, ("<REGION_PROPOSAL>", "<OD>")
_CACHE_BYTES = 10_000_000

_Figures = dict[str, float]


def loss_of_map(device: str, precision: str, count: int) -> _Figures:
    """Return the mAP of the bundled checkpoint's detections in float32 and in a precision, on held-out scenes."""
    folder = Path(catalog.resolve(catalog.BUNDLED).source)
    name = "detection mAP@50:95"
    found = [_measure(folder, *one, count)[name] for one in (("cpu", "float32"), (device, precision))]
    return {"mAP float32": found[0], f"mAP {precision}": found[1], "loss of mAP": found[0] - found[1]}


def _measure(folder: Path, device: str, precision: str, count: int) -> _Figures:
    loaded = loader.load(catalog.resolve(str(folder)), folder, device=device, precision=precision)
    engine = Engine(loaded, prepare(loaded), image_cache_bytes=_CACHE_BYTES, prompt_cache_bytes=_CACHE_BYTES)
    return measure_on_scenes(Predictor(OneEngine(engine)), count, ("<OD>",))


def agreement(device: str, precision: str) -> _Figures:
    """Return how often the first choice is that of transformers in float32 on the CPU, and how far the logits are off.

    All follow a given answer, so that one different choice does not change what comes after it.
    """
    folder = skeleton()
    checkpoint = catalog.resolve(str(folder))
    exact = loader.load(checkpoint, folder, device="cpu", precision="float32")
    expected = [_logits_of_transformers(exact, seed, task) for seed in range(_PICTURES) for task in _TASKS]
    del exact
    loaded = loader.load(checkpoint, folder, device=device, precision=precision)
    model = prepare(loaded)
    found = [_logits(loaded, model, seed, task) for seed in range(_PICTURES) for task in _TASKS]
    ours, theirs = torch.cat(found).float(), torch.cat(expected).float()
    return {
        "steps": float(len(ours)),
        "same first choice": float((ours.argmax(-1) == theirs.argmax(-1)).float().mean()),
        "relative logit error": float((ours - theirs).norm() / theirs.norm()),
    }


def _inputs(loaded: LoadedCheckpoint, seed: int, task: str) -> tuple[torch.Tensor, list[int], list[int]]:
    """Return the pixels, the prompt's ids and the answer's."""
    processor = loaded.image_processor.for_transformers()
    pixels = processor(images=paths.picture(seed), return_tensors="pt")["pixel_values"]
    ids = loaded.tokenizer(get_task(task).fill())["input_ids"]
    return pixels, ids, paths.answer_ids(loaded.tokenizer)


@torch.inference_mode()
def _logits_of_transformers(loaded: LoadedCheckpoint, seed: int, task: str) -> torch.Tensor:
    pixels, prompt, answer = _inputs(loaded, seed, task)
    model = loaded.model
    features = model.get_image_features(pixels).pooler_output
    inputs = torch.cat([features, model.get_input_embeddings()(torch.tensor([prompt]))], 1)
    states = model.get_encoder()(inputs_embeds=inputs).last_hidden_state
    given = torch.tensor([[model.config.text_config.decoder_start_token_id, *answer[:-1]]])
    rows = model.model.language_model.decoder(given, encoder_hidden_states=states).last_hidden_state[0]
    logits: torch.Tensor = model.lm_head(rows)
    return logits


@torch.inference_mode()
def _logits(loaded: LoadedCheckpoint, model: PreparedModel, seed: int, task: str) -> torch.Tensor:
    pixels, prompt, answer = _inputs(loaded, seed, task)
    features = model.encode_images(pixels.to(model.device))
    inputs = torch.cat([features, model.embed_prompt(prompt)[None]], 1)
    cache = model.decoder.start(model.encode_prompts(inputs))
    given = [model.text_config.decoder_start_token_id, *answer[:-1]]
    steps = [model.decoder.step(cache, torch.tensor([token_id], device=model.device)) for token_id in given]
    return torch.cat(steps).cpu()
