# fcn-deploy on CPUs: PyTorch, ONNX Runtime and OpenVINO, without CUDA. Not built by the project's own checks, which have
# no container registry; they test that the files and pins named here exist.
#
#   docker build -f docker/cpu.Dockerfile -t fcn-deploy:cpu .
#   docker run --rm -it -v $PWD:/work fcn-deploy:cpu fcn-deploy bench
FROM python:3.12-slim

ENV PIP_NO_CACHE_DIR=1
WORKDIR /opt/fcn-deploy
COPY constraints.txt ./
RUN pip install torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu
COPY pyproject.toml setup.py README.md LICENSE ./
COPY fcn_deploy fcn_deploy
RUN pip install ".[openvino]" -c constraints.txt

WORKDIR /work
CMD ["fcn-deploy", "bench"]
