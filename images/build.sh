#!/bin/bash
# Builds the three images with docker, podman or buildah, whichever is there:
#   make images [REGISTRY=registry.example.com/llm] [TAG=0.1.0] [IMAGES="operator data trainer"] [PUSH=1]
#               [BASE_IMAGE=...] [TRAINER_BASE_IMAGE=nvcr.io/nvidia/pytorch:...] [BUILD_ARGS="--network host"]
# Pin BASE_IMAGE by digest where builds must repeat: name@sha256:...
set -euo pipefail
cd "$(dirname "$0")/.."

release=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
tag=${TAG:-$release}
prefix=${REGISTRY:+${REGISTRY%/}/}
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)

for tool in ${TOOL:-docker podman buildah}; do
  command -v "$tool" > /dev/null && { [ "$tool" != docker ] || docker info > /dev/null 2>&1; } && break
  tool=
done
[ -n "$tool" ] || { echo "images: none of docker (with its daemon), podman and buildah is there" >&2; exit 1; }

for image in ${IMAGES:-operator data trainer}; do
  name=${prefix}pretrain-$image:$tag
  base=${BASE_IMAGE:-}
  [ "$image" = trainer ] && base=${TRAINER_BASE_IMAGE:-$base}
  echo "$name: building with $tool"
  # shellcheck disable=SC2086 - BUILD_ARGS is a list of words
  "$tool" build ${BUILD_ARGS:-} -f "images/$image/Dockerfile" -t "$name" \
    --build-arg VERSION="$tag" --build-arg REVISION="$revision" ${base:+--build-arg BASE_IMAGE="$base"} .
  [ -z "${PUSH:-}" ] || "$tool" push "$name"
done
