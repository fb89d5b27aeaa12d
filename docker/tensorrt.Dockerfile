# fcn-deploy in NVIDIA's TensorRT container, to build engines for the Triton container of the same tag (docs/triton.md).
# Not built by the project's own checks, which have no container registry; they test that the files named here exist.
#
#   docker build -f docker/tensorrt.Dockerfile --build-arg TAG=25.10-py3 -t fcn-deploy:tensorrt .
#   docker run --rm -it --gpus all -v $PWD:/work fcn-deploy:tensorrt
ARG TAG=25.10-py3
FROM nvcr.io/nvidia/tensorrt:${TAG}

# NVIDIA's images may set constraints of their own; here constraints.txt counts.
ENV PIP_NO_CACHE_DIR=1 PIP_BREAK_SYSTEM_PACKAGES=1 PIP_CONSTRAINT=""
# The container's own TensorRT bindings; some tags install them with this script.
RUN if [ -x /opt/tensorrt/python/python_setup.sh ]; then /opt/tensorrt/python/python_setup.sh; fi

WORKDIR /opt/fcn-deploy
COPY constraints.txt pyproject.toml setup.py README.md LICENSE ./
COPY fcn_deploy fcn_deploy
# PyCUDA is compiled against the container's CUDA. The last line fails where the bindings are missing.
RUN pip install ".[graphs,nvml]" -c constraints.txt
RUN python3 -c "import tensorrt, pycuda; print(tensorrt.__version__)"

WORKDIR /work
CMD ["bash"]
