# fairseq-gist with the pinned versions of constraints/, on the CPU or a GPU:
#
#   docker build -t fairseq-gist .
#   docker run --rm fairseq-gist --help
#   docker run --rm --gpus all -v "$PWD:/data" --entrypoint sh fairseq-gist -c \
#       'fairseq-train DATA --user-dir "$(fairseq-gist user-dir)" ...'
#
# For x86-64: elsewhere ve-fairseq has no wheel.

FROM python:3.11-slim-bookworm AS built
WORKDIR /src
RUN python -m venv /opt/gist
ENV PATH=/opt/gist/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY constraints constraints

# As in the Makefile: the host alone, by its hashes; then what it needs, less torchaudio.
RUN pip install -c constraints/modern.txt torch numpy setuptools
RUN host=$(python constraints/host.py choose ve-fairseq) \
    && pip install --no-deps --require-hashes -r "constraints/hosts/$host.txt" \
    && python constraints/host.py needs "$host" >/tmp/needs.txt \
    && pip install -c constraints/modern.txt -r /tmp/needs.txt
COPY . .
RUN pip install -c constraints/modern.txt --no-build-isolation ".[corpora,report,language-id]"

FROM python:3.11-slim-bookworm
COPY --from=built /opt/gist /opt/gist
ENV PATH=/opt/gist/bin:$PATH
RUN fairseq-gist --help >/dev/null && fairseq-gist user-dir
WORKDIR /data
ENTRYPOINT ["fairseq-gist"]
CMD ["--help"]
