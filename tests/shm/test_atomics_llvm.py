"""What the emitters give to LLVM, read as text: the order of each access is the whole point of them."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

import pytest
from llvmlite import ir
from numba.core import types

from shm import atomics_llvm as llvm

WORD = ir.IntType(64)

EMITTED = [
    ("load_acquire", llvm.emit_load("acquire"), 1, "load atomic i64, i64* %", "acquire, align 8"),
    ("load_relaxed", llvm.emit_load("monotonic"), 1, "load atomic i64, i64* %", "monotonic, align 8"),
    ("store_release", llvm.emit_store("release"), 2, "store atomic i64 %", "release, align 8"),
    ("store_relaxed", llvm.emit_store("monotonic"), 2, "store atomic i64 %", "monotonic, align 8"),
    ("store_seq_cst", llvm.emit_store("seq_cst"), 2, "store atomic i64 %", "seq_cst, align 8"),
    ("fetch_add", llvm.emit_fetch_add, 2, "atomicrmw add", "seq_cst"),
    ("compare_exchange", llvm.emit_compare_exchange, 3, "cmpxchg", "acq_rel acquire"),
    ("fence_acquire", llvm.emit_fence("acquire"), 0, "fence acquire", ""),
    ("fence_release", llvm.emit_fence("release"), 0, "fence release", ""),
    ("fence_seq_cst", llvm.emit_fence("seq_cst"), 0, "fence seq_cst", ""),
    ("read_tsc", llvm.emit_read_tsc, 0, "llvm.readcyclecounter", "()"),
    ("bit_length", llvm.emit_bit_length, 1, "llvm.ctlz", "i1 0"),
    ("wrapped_product", llvm.emit_product, 2, "mul i64 %", ""),  # and not "mul nsw"
    *(
        [("pause", llvm.emit_pause, 0, "llvm.x86.sse2.pause", "()")]
        if platform.machine() in llvm.X86_NAMES
        else []
    ),
]


class Context:
    """What an intrinsic asks of the compiler for an answer that is nothing."""

    @staticmethod
    def get_dummy_value() -> str:
        return "nothing"


def emitted(emit: Callable[[Any, list[Any]], Any], n_args: int) -> str:
    """IR of a function that does just this."""
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [WORD] * n_args), "probe")
    builder = ir.IRBuilder(function.append_basic_block())
    emit(builder, list(function.args))
    builder.ret_void()
    return str(function)


@pytest.mark.parametrize(
    ("name", "emit", "n_args", "what", "order"), EMITTED, ids=[row[0] for row in EMITTED]
)
def test_instruction_and_order(
    name: str, emit: Callable[[Any, list[Any]], Any], n_args: int, what: str, order: str
) -> None:
    line = next(line for line in emitted(emit, n_args).splitlines() if what in line)
    assert order in line


@pytest.mark.parametrize(
    ("name", "n_args", "what", "order"),
    [(name, n_args, what, order) for name, _, n_args, what, order in EMITTED],
    ids=[row[0] for row in EMITTED],
)
def test_a_name_of_the_menu_emits_what_it_says(name: str, n_args: int, what: str, order: str) -> None:
    """The processor under the tests orders more than most names ask for: a mix-up would never show."""
    intrinsic = getattr(llvm, name)
    signature, generate = intrinsic._defn(*[None] * (n_args + 1))
    assert signature.args == (types.int64,) * n_args
    answers: list[Any] = []

    def emit(builder: Any, args: list[Any]) -> None:
        answers.append(generate(Context, builder, signature, args))

    line = next(line for line in emitted(emit, n_args).splitlines() if what in line)
    assert order in line
    if signature.return_type == types.void:
        assert answers == ["nothing"]
        assert name.startswith(("store", "fence", "pause"))
    else:
        assert (signature.return_type, answers[0].type) == (types.int64, WORD)


def test_bit_length_is_of_64_bits() -> None:
    assert "sub i64 64, %" in emitted(llvm.emit_bit_length, 1)


def test_compare_exchange_answers_whether_it_wrote() -> None:
    text = emitted(llvm.emit_compare_exchange, 3)
    assert "extractvalue" in text
    assert ", 1\n" in text.replace(" \n", "\n")
    assert "zext i1" in text


@pytest.mark.parametrize(("machine", "pauses"), [("x86_64", True), ("AMD64", True), ("aarch64", False)])
def test_pause_only_where_it_is_known(monkeypatch: pytest.MonkeyPatch, machine: str, pauses: bool) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert ("llvm.x86.sse2.pause" in emitted(llvm.emit_pause, 0)) is pauses


def test_a_declaration_is_made_once() -> None:
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), []), "probe")
    builder = ir.IRBuilder(function.append_basic_block())
    llvm.emit_read_tsc(builder, [])
    llvm.emit_read_tsc(builder, [])
    builder.ret_void()
    assert str(module).count("declare i64 @") == 1


def test_no_inline_assembly() -> None:
    for _, emit, n_args, _, _ in EMITTED:
        assert "asm" not in emitted(emit, n_args)
