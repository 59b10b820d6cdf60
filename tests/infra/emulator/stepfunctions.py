"""What moto's Step Functions lack: the integration of EMR, the check of definitions, and nodes that answer commands."""

from __future__ import annotations

import base64
import json
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import boto3
from botocore.exceptions import ClientError
from moto.core.config import default_user_config
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.emr.models import emr_backends
from moto.ssm.exceptions import SSMException
from moto.ssm.responses import SimpleSystemManagerResponse
from moto.stepfunctions.parser.api import ExecutionStatus, HistoryEventType, TaskFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import iteration_worker
from moto.stepfunctions.parser.asl.component.state.exec.state_parallel import branches_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task import state_task_factory
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_aws_sdk
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.eval.callback.callback import HeartbeatTimeoutError
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils import json_path
from moto.stepfunctions.parser.asl.utils.boto_client import boto_client_for
from moto.stepfunctions.responses import StepFunctionResponse

from tests.infra.emulator import play

ACCOUNT, REGION = "123456789012", "us-east-1"

UNREGISTERED = 1
"""Commands to a new instance that are refused, because its agent has not registered."""

STAGE = re.compile(
    r"exec /opt/msd-spark/bin/(?:gpu_stage\.sh (?P<token>\S+) (?P<log>\S+) (?P<stage>\S+) (?P<workers>\d+) "
    r'"\$\(echo (?P<command>\S+) \| base64 -d\)"|ingest_copy\.sh (?P<copy_token>\S+))'
)

_commands: Counter[str] = Counter()


class ElasticMapReduce(StateTaskServiceCallback):
    """``elasticmapreduce:createCluster.sync``, ``addStep.sync`` and ``terminateCluster.sync``.

    https://docs.aws.amazon.com/step-functions/latest/dg/connect-emr.html
    """

    def __init__(self) -> None:
        patterns: Any = {ResourceCondition.Sync}
        super().__init__(supported_integration_patterns=patterns)

    def _get_supported_parameters(self) -> set[str]:
        request = boto3.client("emr", region_name=REGION).meta.service_model.operation_model("RunJobFlow").input_shape
        return {
            "createCluster": set(request.members) - {"Steps"},
            "addStep": {"ClusterId", "Step"},
            "terminateCluster": {"ClusterId"},
        }[self.resource.api_action]

    def _eval_integration_pattern(
        self, env: Environment, resource_runtime_part: Any, normalised_parameters: Any, state_credentials: Any
    ) -> None:
        """Wait for the outcome; moto's own waiting is for tokens, and ends at once in a second attempt."""
        resolve = self._build_sync_resolver(env, resource_runtime_part, normalised_parameters, state_credentials)
        while env.is_running() and (outcome := resolve()) is None:
            time.sleep(0.1)  # the caller stops this when its time is over
        if env.is_running():
            env.stack.append(outcome)

    def _eval_service_task(
        self,
        env: Environment,
        resource_runtime_part: Any,
        normalised_parameters: dict[str, Any],
        state_credentials: Any,
    ) -> None:
        emr = boto_client_for(region=REGION, service="emr")
        action, request = self.resource.api_action, normalised_parameters
        play.record(action, **request)
        if action == "createCluster":
            if request["Instances"]["KeepJobFlowAliveWhenNoSteps"] is not True:
                raise ValueError("createCluster keeps the cluster alive")
            self.waited_for = (emr.run_job_flow(**request)["JobFlowId"], "")
            env.stack.append({"ClusterId": self.waited_for[0]})
        elif action == "addStep":
            step = emr.add_job_flow_steps(JobFlowId=request["ClusterId"], Steps=[request["Step"]])["StepIds"][0]
            self.waited_for = (request["ClusterId"], step)
            self.outcome = play.outcome(request["Step"]["Name"])
            env.stack.append({"StepId": step})
        else:
            self.waited_for = (request["ClusterId"], "")
            emr.terminate_job_flows(JobFlowIds=[request["ClusterId"]])
            env.stack.append({})

    def _build_sync_resolver(
        self,
        env: Environment,
        resource_runtime_part: Any,
        normalised_parameters: dict[str, Any],
        state_credentials: Any,
    ) -> Callable[[], Any]:
        answer = env.stack.pop()
        cluster_id, step_id = self.waited_for
        if not step_id:
            return lambda: answer
        cluster = emr_backends[ACCOUNT][REGION].clusters[cluster_id]
        (step,) = (one for one in cluster.steps if one.id == step_id)
        stage = str(normalised_parameters["Step"]["Name"])
        step.state = "RUNNING"

        def resolve() -> Any:
            if cluster.state in ("TERMINATING", "TERMINATED"):
                step.state = "CANCELLED"
            elif self.outcome == play.SILENT and play.latest(stage) == play.SILENT:
                return None
            elif self.outcome == play.SILENT:
                self.outcome = play.latest(stage)
                return None
            else:
                step.state = "COMPLETED" if self.outcome == play.SUCCEED else "FAILED"
            if step.state == "COMPLETED":
                cluster.state = "WAITING"
                return {"Step": {"Id": step_id, "Status": {"State": step.state}}}
            raise self._failure(env, f"Step {step_id} ended with state {step.state}")

        return resolve

    def _failure(self, env: Environment, cause: str) -> FailureEventException:
        failed = TaskFailedEventDetails(
            resource=self._get_sfn_resource(),
            resourceType=self._get_sfn_resource_type(),
            error="States.TaskFailed",
            cause=cause,
        )
        details: Any = {"taskFailedEventDetails": failed}
        return FailureEventException(
            FailureEvent(
                env=env,
                error_name=StatesErrorName(typ=StatesErrorNameType.StatesTaskFailed),
                event_type=HistoryEventType.TaskFailed,
                event_details=details,
            )
        )


EMR_IS_AWAY: Any = {
    "Error": {"Code": "InternalServerException", "Message": "EMR is away"},
    "ResponseMetadata": {"HTTPStatusCode": 500, "RequestId": "none"},
}

eval_service_task_of_moto = state_task_service_aws_sdk.StateTaskServiceAwsSdk._eval_service_task


def eval_service_task(self: Any, env: Environment, *arguments: Any, **named: Any) -> None:
    """Have no worker in service, or no answer of EMR to the clean-up, if tests say so; list executions.

    moto sends the names of parameters to boto as they are, and those of Step Functions begin with a small letter there.
    """
    if self.resource.api_action == "listExecutions":
        request = {f"{name[0].lower()}{name[1:]}": value for name, value in named["normalised_parameters"].items()}
        answer = boto_client_for(region=REGION, service="stepfunctions").list_executions(**request)
        env.stack.append({"Executions": [{"Name": one["name"]} for one in answer["executions"]]})
        return
    if self.resource.api_action == "listClusters" and play.outcome("clean-up") == play.FAIL:
        raise ClientError(EMR_IS_AWAY, "ListClusters")
    eval_service_task_of_moto(self, env, *arguments, **named)
    if self.resource.api_action == "describeAutoScalingGroups" and play.outcome("workers") == play.FAIL:
        env.stack[-1]["AutoScalingGroups"][0]["Instances"] = []


def extract_json(path: str, data: Any) -> Any:
    """Return what a path finds as AWS does.

    A path with a filter, a wildcard or a slice yields a list, which may be empty, and any other path one value. moto
    decides by the number of matches.
    """
    matches = vars(json_path)["parse"](path).find(data)
    if re.search(r"\[\?|\*|\.\.|\[[^\]]*[:,]", path):
        return [match.value for match in matches]
    if not matches:
        raise json_path.NoSuchJsonPathError(json_path=path, data=data)
    return matches[0].value


def error_named(error_name: str) -> Any:
    """Return the error of a branch; moto refuses those of Step Functions itself."""
    for kind in StatesErrorNameType:
        if kind.to_name() == error_name:
            return StatesErrorName(typ=kind)
    return CustomErrorName(error_name=error_name)


error_of_moto = StateTaskServiceCallback._from_error


def error_of(self: StateTaskServiceCallback, env: Environment, ex: Exception) -> FailureEvent:
    """Return the error of a task; moto calls a lost heartbeat a time-out, which AWS lets handlers tell apart."""
    event = error_of_moto(self, env=env, ex=ex)
    if not isinstance(ex, HeartbeatTimeoutError):
        return event
    lost = StatesErrorName(typ=StatesErrorNameType.StatesHeartbeatTimeout)
    details: Any = event.event_details
    details["taskTimedOutEventDetails"]["error"] = lost.error_name
    return FailureEvent(env=env, error_name=lost, event_type=event.event_type, event_details=details)


service_of_moto = vars(state_task_factory)["state_task_service_for"]


def service_for(service_name: str) -> Any:
    """Return the service class of a resource of a task."""
    return ElasticMapReduce() if service_name == "elasticmapreduce" else service_of_moto(service_name)


def send_command(self: SimpleSystemManagerResponse) -> ActionResult:
    """Have the instance answer, a moment after it has registered."""
    (instance,) = self._get_param("InstanceIds")
    commands = self._get_param("Parameters")["commands"]
    _commands[instance] += 1
    if _commands[instance] <= UNREGISTERED:
        raise SSMException("InvalidInstanceId", "Instances not in a valid state for account")
    match = STAGE.fullmatch(commands[-1])
    assert match, commands
    words = match.groupdict()
    token, stage = words["token"] or words["copy_token"], words["stage"] or "copy"
    command = base64.b64decode(words["command"] or "").decode()
    request = {"log": words["log"], "workers": words["workers"], "command": command, "stage": stage}
    play.record("sendCommand", instance=instance, commands=commands, **request)
    threading.Thread(target=answer, args=(token, stage), daemon=True).start()
    return ActionResult({"Command": {"CommandId": f"command-{_commands[instance]}", "InstanceIds": [instance]}})


def answer(token: str, stage: str) -> None:
    """Answer the state machine as ``node_task.sh`` does."""
    time.sleep(0.2)
    client, outcome = boto_client_for(region=REGION, service="stepfunctions"), play.outcome(stage)
    play.record("answer", stage=stage, outcome=outcome)
    if outcome == play.SUCCEED:
        client.send_task_success(taskToken=token, output=json.dumps({"stage": stage}))
    elif outcome != play.SILENT:
        error = "BadInput" if outcome == play.BAD_INPUT else "Stage.Failed"
        client.send_task_failure(taskToken=token, error=error, cause=f"the last lines of {stage}")


def validate_state_machine_definition(self: StepFunctionResponse) -> ActionResult:
    """Parse a definition with moto's parser."""
    try:
        AmazonStateLanguageParser.parse(self._get_param("definition"))
    except Exception as error:
        diagnostic = {"severity": "ERROR", "code": "INVALID", "message": repr(error)}
        return ActionResult({"result": "FAIL", "diagnostics": [diagnostic]})
    return ActionResult({"result": "OK", "diagnostics": []})


stop_execution_of_moto = StepFunctionResponse.stop_execution


def stop_execution(self: StepFunctionResponse) -> ActionResult:
    """Stop an execution at once; with moto, one that waits for a token goes on waiting."""
    answer = stop_execution_of_moto(self)
    execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
    setattr(execution, "exec_status", ExecutionStatus.ABORTED)  # noqa: B010
    execution.stop_date = utcnow()
    return answer


def list_state_machine_versions(self: StepFunctionResponse) -> ActionResult:
    """Return no versions: the stack publishes none."""
    return ActionResult({"stateMachineVersions": []})


def install() -> None:
    """Turn moto's interpreter on, and teach it EMR and the nodes."""
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    for name, module in tuple(sys.modules.items()):
        if name.startswith("moto.stepfunctions.parser") and hasattr(module, "extract_json"):
            setattr(module, "extract_json", extract_json)  # noqa: B010
    for module in (branches_decl, iteration_worker):
        setattr(module, "CustomErrorName", error_named)  # noqa: B010
    aws_sdk = state_task_service_aws_sdk.StateTaskServiceAwsSdk
    setattr(aws_sdk, "_eval_service_task", eval_service_task)  # noqa: B010
    setattr(state_task_factory, "state_task_service_for", service_for)  # noqa: B010
    setattr(StateTaskServiceCallback, "_from_error", error_of)  # noqa: B010
    names = state_task_service_aws_sdk._SERVICE_ERROR_NAMES
    names.update({"ssm": "Ssm", "emr": "Emr", "ec2": "Ec2", "autoscaling": "AutoScaling"})
    for call in (validate_state_machine_definition, list_state_machine_versions, stop_execution):
        setattr(StepFunctionResponse, call.__name__, call)
    setattr(SimpleSystemManagerResponse, "send_command", send_command)  # noqa: B010
