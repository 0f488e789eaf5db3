"""The training of a model with Megatron-core, from a run's spec to its exported model.

Processes, each started by the one before:

    launcher   one for each pod, its main process: checks storage and inputs, holds the run's lease
               (pod 0), ends a hang
    └─ agent   one for each pod: torchrun's agent, starts the ranks and watches them
       └─ rank       one for each device: trains, saves checkpoints, evaluates
          └─ exporter   one for the run, of rank 0: converts the last checkpoint for Hugging Face

A process dies with its parent. A stop request goes down, reports come up:

    file                          in            written by          read by
    spec.json                     ConfigMap     control plane       launcher, ranks
    OWNER.json                    run folder    launcher of pod 0   launchers and ranks 0
    stop                          workspace     launcher            ranks
    progress.json                 workspace     rank 0              launcher
    reports/<rank>.json           workspace     ranks               launcher
    heartbeats/<rank>             workspace     ranks               launcher
    killed.json, agent.json       workspace     agent               launcher
    export/request, result.json   workspace     rank 0, exporter    exporter, rank 0
    checkpoints/step-<number>     run folder    ranks               ranks, exporter
    MANIFEST.json                 run folder    rank 0              launchers: the run is finished
    termination-log               pod           launcher            control plane

The workspace is in the pod's scratch, the run folder in storage. While the run lasts, rank 0 also
serves `/progress` and `/metrics`. Only launchers report to the control plane; the launcher of pod 0
has what rank 0 reached.

Read it in this order: `launcher`, `agent`, `rank`, `setup`, `training` (with `schedule` and
`evaluation`), `inputs`, `outcome`.
"""
