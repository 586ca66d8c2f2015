"""Plan -> Dockerfile: a stage a toolchain, a stage a step, one that lays out the release. Pure text.

It says what the Docker engine does when it runs the steps: the same environment, paths, user and requests. What the
instructions mean does not depend on the builder: the classic one and BuildKit both know them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from builder.compile.toolchain import BASE, stage, stages, variable
from builder.engine.image import image_tag
from builder.engine.inside import HOME, NOBODY, OUTPUT, PATH, REQUEST, ROOT, STEPS, input_folder
from builder.engine.request import ENTRY, THREAD_VARIABLES, fixed_environment
from builder.errors import IntegrityError
from builder.plan.step import Plan, Step, Toolchain
from builder.result import RESULT
from builder.store.workspaces import CHECKPOINTS

HEADER = "# Written by 'tinsmith compile'."
TOOLCHAIN = "TOOLCHAIN"
RELEASE = "release"
"""The folder of the last image that holds everything."""
_WIDTH = 110


def toolchains_of(plan: Plan) -> list[Toolchain]:
    """Those that the release's bytes come from, in the order of their first steps."""
    return list({step.toolchain.name: step.toolchain for step in plan.needed()}.values())


def dockerfile(plan: Plan, toolchains: Mapping[str, str], *, ready: bool = False) -> str:
    """The whole Dockerfile. ``toolchains`` maps names to the text of their own Dockerfiles.

    ``ready``: the toolchains are images that exist already, under the tags that the Docker engine gives them.
    Errors: LockError as for ``toolchain.stages``, IntegrityError if a step has a name that no stage can have.
    """
    used = toolchains_of(plan)
    _check_names(plan, used)
    parts = [_head(plan, ready), _arguments(used, ready)]
    for toolchain in used:
        title = f"# ---- toolchain {toolchain.name}, {toolchain.digest}\n"
        if ready:
            body = f"FROM ${{{variable(TOOLCHAIN, toolchain.name)}}} AS {stage(toolchain.name)}\n"
        elif toolchain.image is not None:
            body = f"FROM ${{{variable(BASE, toolchain.name)}}} AS {stage(toolchain.name)}\n"
        else:
            body = stages(toolchain.name, toolchains[toolchain.name])
        parts.append(title + body)
    parts += [_place(toolchain) for toolchain in used]
    parts += [_step(step) for step in plan.needed()]
    parts.append(_assemble(plan))
    parts.append(f"FROM scratch\nCOPY --from=assemble {OUTPUT} /{RELEASE}\n")
    return "\n".join(parts)


def _check_names(plan: Plan, used: list[Toolchain]) -> None:
    """Step names become names of stages, beside those of this module's own. Plans may come with a release."""
    taken = {"assemble", "scratch", *(_ready(item) for item in used), *(stage(item.name) for item in used)}
    for step in plan.needed():
        if step.name in taken or not re.fullmatch(r"[a-z][a-z0-9-]*", step.name):
            raise IntegrityError(f"a step called {step.name!a:.80} cannot be a stage of a Dockerfile")


def _head(plan: Plan, ready: bool) -> str:
    what = "with toolchain images that exist already" if ready else "from its base images"
    return f"{HEADER} Builds {plan.name}@{plan.version} {what}; see README.txt.\n# plan {plan.digest}\n"


def _arguments(used: list[Toolchain], ready: bool) -> str:
    lines = []
    for toolchain in used:
        if ready:
            lines.append(f"ARG {variable(TOOLCHAIN, toolchain.name)}={image_tag(toolchain)}")
        else:
            lines.append(f"ARG {variable(BASE, toolchain.name)}={toolchain.image or toolchain.base_image}")
    return "\n".join([*lines, ""])


def _place(toolchain: Toolchain) -> str:
    """The toolchain with the folders, the user and the environment that every step has."""
    variables = [f'{name}="{value}"' for name, value in fixed_environment(PATH, HOME).items()]
    return "\n".join(
        [
            f"FROM {stage(toolchain.name)} AS {_ready(toolchain)}",
            "USER 0:0",
            f"RUN mkdir -p {OUTPUT} && chown {NOBODY}:{NOBODY} {ROOT} {OUTPUT}",
            f"USER {NOBODY}:{NOBODY}",
            f"WORKDIR {HOME}",
            *_wrapped("ENV", variables),
            "",
        ]
    )


def _ready(toolchain: Toolchain) -> str:
    return f"ready-{toolchain.name}"


def _step(step: Step) -> str:
    needs = [item.step for item in step.inputs if item.step is not None]
    lines = [
        f"# ---- step {step.name}{', from what ' + ', '.join(needs) + ' left' if needs else ''}; key {step.key}",
        f"FROM {_ready(step.toolchain)} AS {step.name}",
    ]
    if step.threads is not None:
        lines += _wrapped("ENV", [f'{name}="{step.threads}"' for name in THREAD_VARIABLES])
    lines += _wrapped("COPY", [*(f"steps/{name}" for name in step.code), f"{STEPS}/"])
    lines.append(f"COPY requests/{step.name}.json {REQUEST}")
    for item in step.inputs:
        if item.step is not None:
            lines.append(f"COPY --from={item.step} {OUTPUT} {input_folder(item.name)}")
        else:
            assert item.source is not None, "an input is of a step or of a source"
            lines.append(f"COPY {data_folder(item.source)} {input_folder(item.name)}")
    return "\n".join([*lines, _run(step), ""])


def _run(step: Step) -> str:
    """Runs the step; its result is put aside, as no step is given another's, and its scratch folder goes."""
    after = [f"mv {OUTPUT}/{RESULT} {ROOT}/{RESULT}", f"rm -rf {OUTPUT}/{CHECKPOINTS}"]
    if step.threads is not None:
        commands = [f"python {STEPS}/{ENTRY} {REQUEST}", *after]
    else:
        commands = [
            "threads=$(nproc)",
            "export " + " ".join(f"{name}=$threads" for name in THREAD_VARIABLES),
            f'sed "s/\\"threads\\": null/\\"threads\\": $threads/" {REQUEST} > {HOME}/request.json',
            f"python {STEPS}/{ENTRY} {HOME}/request.json",
            *after,
        ]
    text = "RUN " + " \\\n && ".join(commands)
    note = "# Any number of threads gives the same bytes.\n" if step.threads is None else ""
    return note + text


def data_folder(source: str) -> str:
    """Where in the context the files of a locked source lie; ``source`` is its digest."""
    return f"data/{source.removeprefix('sha256:')}"


def _assemble(plan: Plan) -> str:
    lines = [
        "# ---- the release: its files, its OCI manifest and their digests",
        f"FROM {_ready(plan.step(plan.target).toolchain)} AS assemble",
        f"COPY assemble {ROOT}/assemble",
        f"COPY static {ROOT}/static",
        f"COPY release.json {ROOT}/release.json",
        f"COPY --from={plan.target} {OUTPUT} {ROOT}/files",
        *(f"COPY --from={step.name} {ROOT}/{RESULT} {ROOT}/results/{step.name}.json" for step in plan.needed()),
        f"RUN cd {ROOT}/assemble && python -m builder.compile.assemble {ROOT} {OUTPUT}",
        "",
    ]
    return "\n".join(lines)


def _wrapped(instruction: str, words: list[str]) -> list[str]:
    """The lines of an instruction with many words."""
    lines = [instruction]
    for word in words:
        if len(lines[-1]) + len(word) + 3 > _WIDTH:
            lines[-1] += " \\"
            lines.append("    ")
        lines[-1] += f" {word}"
    return lines
