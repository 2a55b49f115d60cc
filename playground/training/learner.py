"""The model while it learns: the loss of its answers, and of a head that says what each cell of a picture shows."""

import torch
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from playground.locations import NUM_BINS, location_token
from playground.scenes.things import COLORS, KINDS
from playground.training.batches import CHARACTERS, Batch, QuestionGroup
from playground.training.model import MEAN, STD, WIDTH, build_model
from playground.training.tokenizer import token_id

_LOCATION_SIGMA = 2.5  # bins: the soft target of a location token
_CHARACTER_WEIGHT = 1.0  # in the dense loss
_CHOICE_WEIGHT = 3.0  # of the token after a location, where an answer goes on or ends: it tends to end too early
_HEAD = (len(KINDS) + 1, len(COLORS), 4, len(CHARACTERS))  # what the dense head predicts for a cell


class Learner(torch.nn.Module):
    """The model, and a head on its image tokens that helps it to learn and is not part of the checkpoint."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__()
        self.model = build_model(tokenizer)
        self.head = torch.nn.Linear(WIDTH, sum(_HEAD))
        torch.nn.init.constant_(self.head.bias[-len(CHARACTERS) :], -6)  # hardly any cell has a given character
        self._pad, self._start = tokenizer.pad_token_id, tokenizer.eos_token_id
        self._first = token_id(tokenizer, location_token(0))
        self.soft_bins: torch.Tensor
        self.register_buffer("soft_bins", _soft_bins(), persistent=False)

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the loss of the answers and of the dense head, and the accuracy on text tokens ("hit")."""
        pixels = (batch.pixels.float() / 255 - MEAN) / STD
        images = self.model.model.get_image_features(pixels).pooler_output
        dense = self._dense_loss(images[:, 1:].float(), batch.cells.flatten(1, 2), batch.characters.flatten(1, 2))
        if not batch.groups:
            return {"dense": dense}
        parts = [self._answer_loss(images, group) for group in batch.groups]
        loss, weight, hits, texts = (torch.stack(values).sum() for values in zip(*parts, strict=True))
        return {"loss": loss / weight, "dense": dense, "hit": hits / texts}

    def _answer_loss(self, images: torch.Tensor, questions: QuestionGroup) -> tuple[torch.Tensor, ...]:
        """Return the weighted loss and its weight, the number of correct text tokens and the number of all."""
        rows, prompts, answers = questions
        language = self.model.model.language_model
        embedded = torch.cat([images[rows], language.get_input_embeddings()(prompts)], 1)
        seen = torch.ones(images[rows].shape[:2], dtype=torch.long, device=rows.device)
        mask = torch.cat([seen, (prompts != self._pad).long()], 1)
        encoded = language.encoder(inputs_embeds=embedded, attention_mask=mask).last_hidden_state
        inputs = torch.cat([torch.full_like(answers[:, :1], self._start), answers[:, :-1]], 1)
        hidden = language.decoder(
            input_ids=inputs, encoder_hidden_states=encoded, encoder_attention_mask=mask, use_cache=False
        ).last_hidden_state
        keep = answers != self._pad
        weight = self._weights(inputs, answers)[keep]
        targets, logits = answers[keep], self.model.lm_head(hidden[keep]).float()
        logprobs = functional.log_softmax(logits, -1)
        is_location = self._is_location(targets)
        losses = -logprobs.gather(1, targets[:, None])[:, 0]
        bins = logprobs[is_location, self._first : self._first + NUM_BINS]
        losses[is_location] = -(self.soft_bins[targets[is_location] - self._first] * bins).sum(-1)
        hits = (logits.argmax(-1) == targets)[~is_location].sum()
        return (losses * weight).sum(), weight.sum(), hits, (~is_location).sum()

    def _weights(self, inputs: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
        """Return the weight of each token of the answers, answers x tokens; `inputs` are the tokens before them."""
        keep = answers != self._pad
        # A long answer counts more than a short one, but not in proportion: an outline has fifty tokens, a word five.
        weight = keep.sum(1, keepdim=True).float().rsqrt() * keep
        is_choice = self._is_location(inputs) & ~self._is_location(answers)
        return torch.where(is_choice, _CHOICE_WEIGHT * weight, weight)

    def _is_location(self, tokens: torch.Tensor) -> torch.Tensor:
        return (tokens >= self._first) & (tokens < self._first + NUM_BINS)

    def _dense_loss(self, images: torch.Tensor, cells: torch.Tensor, characters: torch.Tensor) -> torch.Tensor:
        kinds, colors, sides, spelled = self.head(images).split(_HEAD, -1)
        kind, color = cells[..., 0].long(), cells[..., 1].long()
        is_thing = kind < len(KINDS)
        loss = functional.cross_entropy(kinds.flatten(0, 1), kind.flatten(), label_smoothing=0.02)
        if is_thing.any():
            loss = loss + functional.cross_entropy(colors[is_thing], color[is_thing])
            loss = loss + 4 * functional.l1_loss(sides[is_thing], cells[..., 2:][is_thing])
        # The mean over characters, not over cells, since hardly any cell has one.
        reading = functional.binary_cross_entropy_with_logits(spelled, characters, reduction="sum")
        return loss + _CHARACTER_WEIGHT * reading / (characters.sum() + 1)


def _soft_bins() -> torch.Tensor:
    """Return for each bin the distribution that is learned in its place: a bell over its neighbors, 1000 x 1000."""
    distance = torch.arange(NUM_BINS)[:, None] - torch.arange(NUM_BINS)[None]
    bell = torch.exp(-(distance**2) / (2 * _LOCATION_SIGMA**2)) * (distance.abs() <= 8)
    return bell / bell.sum(1, keepdim=True)
